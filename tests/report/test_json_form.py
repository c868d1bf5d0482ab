from dataclasses import replace

from radvit.records import SpacingPlane
from radvit.report.json_form import to_dict
from radvit.report.verdicts import Change, Comparison, Criteria, Prior, Size, Status, Verdict


def test_the_form(make):
    form = to_dict(make.report([make.finding(0.6)], refused=["why"]))
    assert form["schema"] == "radvit.findings/5"
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


def test_nothing_compared(make):
    assert to_dict(make.report())["comparison"] is None
    none = to_dict(replace(make.report(), comparison=Comparison(Status.NO_PRIOR, same_day=1)))["comparison"]
    assert (none["status"], none["prior"], none["criteria"], none["changes"]) == ("no_prior", None, None, [])
    assert (none["same_day"], none["undated"]) == (1, 0)


def test_a_comparison(make):
    change = Change(Verdict.GROWN, "nodule", 1, 3, size=Size(10.0, 16.0, SpacingPlane.DETECTOR))
    told = Comparison(Status.COMPARED, Prior("2.25.9", "2019-02-03", 365), Criteria(), (change,))
    form = to_dict(replace(make.report([make.finding(0.6)]), comparison=told))["comparison"]
    assert form["prior"] == {"study": "2.25.9", "date": "2019-02-03", "days": 365}
    assert form["criteria"] == {"change_mm": 5.0, "change_percent": 20.0, "within": 0.15}
    (row,) = form["changes"]
    assert (row["verdict"], row["number"], row["prior_number"], row["shown"]) == ("grown", 1, 3, None)
    assert (row["before_mm"], row["now_mm"], row["size_plane"]) == (10.0, 16.0, "detector")
    assert (row["change_mm"], row["change_percent"]) == (6.0, 60.0)
