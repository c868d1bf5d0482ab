import json

import pytest

from radvit.records import Location
from radvit.report.json_form import read_findings, to_dict


def test_findings_survive_the_round_trip(make):
    report = make.report(
        [
            make.finding(0.123456789 + 0.5, box=(1.25, 2.5, 3.75, 1e3 / 3)),
            make.finding(0.9, "mass", size=None, place=Location("left", "lower", "outside", "lungs"), contrast=-1 / 3),
        ],
        [make.finding(0.3, "pneumonia", None, None, "2.25.13", Location())],
    )
    form = json.loads(json.dumps(to_dict(report), ensure_ascii=False))
    assert read_findings(form) == tuple(item.finding for item in report.findings)


def test_the_form(make):
    form = to_dict(make.report([make.finding(0.6)], refused=["why"]))
    assert form["schema"] == "radvit.findings/3"
    assert form["research_use_only"] is True
    assert form["patient"] == {"pseudonym": "P-ABCDEFGHIJKLMNOP", "sex": "F", "age": "063Y"}
    assert form["impression"] == "moderate"
    assert form["thresholds"] == {"high": 0.8, "moderate": 0.5, "mention": 0.3}
    assert form["refused"] == ["why"]
    assert form["looked_for"] == ["nodule"]
    assert form["provenance"]["model"] == "model-x"
    assert (form["images"][0]["spacing_mm"], form["images"][0]["spacing_plane"]) == ((0.2, 0.2), "detector")
    assert form["images"][0]["spacing_source"] == "ImagerPixelSpacing"
    assert form["images"][0]["view"] == "PA"


def test_nothing_found(make):
    form = to_dict(make.report())
    assert (form["findings"], form["impression"]) == ([], "none")
    assert read_findings(form) == ()


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match=r"schema radvit.findings/9; expected radvit.findings/3"):
        read_findings({"schema": "radvit.findings/9", "findings": []})
