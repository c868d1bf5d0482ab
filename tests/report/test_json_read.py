import json
from dataclasses import replace

import pytest

from radvit.errors import DataError
from radvit.records import Axes, Geometry, Location, SpacingPlane
from radvit.report.json_form import to_dict
from radvit.report.json_read import from_dict, read_report
from radvit.report.verdicts import Change, Comparison, Criteria, Prior, Size, Status, Verdict


def through_json(report):
    return from_dict(json.loads(json.dumps(to_dict(report), ensure_ascii=False)))


def full(make):
    """A report in which every field of every record holds something."""
    found = [
        make.finding(0.123456789 + 0.5, box=(1.25, 2.5, 3.75, 1e3 / 3)),
        make.finding(0.9, "mass", size=None, place=Location("left", "lower", "outside", "lungs"), contrast=-1 / 3),
        make.finding(0.8, place=make.at(2 / 3, 1 / 7)),
    ]
    whole = [make.finding(0.3, "pneumonia", None, None, "2.25.13", Location())]
    report = make.report(found, whole, refused=["why"], labels=("nodule", "mass"), lungs=[make.lungs, None], blanked=2)
    axes: Axes = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    placed = Geometry(800, 600, (0.2, 0.1), SpacingPlane.PATIENT, "PixelSpacing", (1.5, -2.5, 1 / 3), axes)
    first = replace(report.images[0], geometry=placed)
    changes = (
        Change(Verdict.GROWN, "nodule", 2, 1, make.at(0.3, 0.4), size=Size(10.0, 16.1, SpacingPlane.DETECTOR)),
        Change(Verdict.GONE, "mass", None, 3, make.at(0.7, 0.9, "left"), True),
        Change(Verdict.NEW, "pneumonia", 4),
    )
    told = Comparison(Status.COMPARED, Prior("2.25.9", "2019-02-03", 365), Criteria(2.0, 10.0, 0.3), changes, 1, 2)
    extra = replace(report.provenance, extra={"versions": {"numpy": "2"}})
    images = (first, report.images[1])
    return replace(report, images=images, provenance=extra, unmapped=(2,), comparison=told)


def test_a_report_survives_the_round_trip(make):
    for report in (full(make), make.report(), make.report(study_date=None, sex=None, view=None)):
        assert through_json(report) == report


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPARED])
def test_a_report_that_was_not_compared_survives_the_round_trip(make, status):
    report = replace(make.report(), comparison=Comparison(status, undated=1))
    assert through_json(report) == report


def test_a_file_is_read(make, tmp_path):
    (tmp_path / "findings.json").write_text(json.dumps(to_dict(full(make))))
    assert read_report(tmp_path / "findings.json") == full(make)


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match=r"schema radvit.findings/2; expected radvit.findings/5"):
        from_dict({"schema": "radvit.findings/2", "findings": []})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": "radvit.findings/5"}', '{"schema": 1}'])
def test_what_is_no_report_is_refused(text, tmp_path):
    (tmp_path / "findings.json").write_text(text)
    with pytest.raises(DataError, match=r"findings\.json: not a report of radvit\.findings/5 \("):
        read_report(tmp_path / "findings.json")


def test_a_damaged_value_is_refused(make, tmp_path):
    form = to_dict(full(make)) | {"impression": "excellent"}
    (tmp_path / "findings.json").write_text(json.dumps(form))
    with pytest.raises(DataError, match="excellent"):
        read_report(tmp_path / "findings.json")


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_report(tmp_path / "findings.json")
