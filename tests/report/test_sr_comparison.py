from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.sr._concepts_dict import concepts

from radvit.errors import DataError
from radvit.report import wording
from radvit.report.codes import VERDICTS
from radvit.report.sr import read_all, read_sr, to_sr
from radvit.report.sr_comparison import COMPARISON, DATE, DIFFERENCE, STUDY, VERDICT, day_of
from radvit.report.verdicts import Comparison, Status, Verdict
from radvit.report.wording_comparison import told
from radvit.report.words_en import ENGLISH

from .random_reports import drawn
from .test_sr import HOSTILE, nodes, texts


def read(data):
    return dcmread(BytesIO(data))


def named(dataset, concept):
    """Every content item of a concept, in order."""
    found = [one for one in nodes(dataset) if "ConceptNameCodeSequence" in one]
    return [one for one in found if one.ConceptNameCodeSequence[0].CodeMeaning == concept[2]]


@pytest.mark.parametrize(
    ("scheme", "concept"),
    [
        ("DCM", VERDICT),
        ("DCM", STUDY),
        ("DCM", DATE),
        ("SCT", DIFFERENCE),
        ("LN", COMPARISON),
        *(("SCT", (code.value, "SCT", code.meaning)) for code in VERDICTS.values()),
    ],
)
def test_codes_are_those_of_the_dictionary(scheme, concept):
    meanings = {known[concept[0]][0] for known in concepts[scheme].values() if concept[0] in known}
    assert concept[2] in meanings
    assert concept[1] == scheme


def test_every_finding_has_its_verdict_and_its_change(make):
    report = make.compared()
    found = {one.number: (one.verdict, one.change_mm) for one in read_sr(to_sr(report, "en"))}
    assert [found[number][0] for number in range(1, 8)] == [
        *("grown", "shrunk", "stable", "seen", "new", "new", "unclear")
    ]
    assert [found[number][1] for number in range(1, 8)] == [20.123456789 - 10, -9.0, -0.5, None, None, None, None]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_verdict_has_a_code_of_snomed_or_one_of_ours(make, language):
    dataset, w = read(to_sr(make.compared(), language)), wording.words(language)
    values = [one.ConceptCodeSequence[0] for one in named(dataset, VERDICT)]
    said = [(one.CodingSchemeDesignator, one.CodeValue, one.CodeMeaning) for one in values]
    assert said[:3] == [
        ("SCT", "15454001", "Increase in size"),
        ("SCT", "19776001", "Decrease in size"),
        ("99RADVIT", "verdict.stable", w["verdict.stable"]),
    ]
    change = named(dataset, DIFFERENCE)[0]
    assert change.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    assert change.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == w["plane.detector"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_sentences_stand_between_impression_and_recommendation(make, language):
    report, w = make.compared(), wording.words(language)
    sentences = told(report.comparison, w)
    data = to_sr(report, language)
    assert texts(read(data), COMPARISON[2]) == sentences
    assert len(sentences) == 2 + len(report.comparison.changes)
    assert any(w["verdict.gone"] in one for one in sentences)
    order = [one.ConceptNameCodeSequence[0].CodeMeaning for one in nodes(read(data), "TEXT")]
    places = [order.index(name) for name in ("Impression", COMPARISON[2], "Recommendation")]
    assert places == sorted(places)
    assert read_all(data).prior == ("2.25.9", "2019-02-03")


def test_nothing_is_said_of_a_comparison_that_there_is_none_of(make):
    report = make.report([make.finding(0.9)])
    dataset = read(to_sr(report, "en"))
    assert not any(named(dataset, concept) for concept in (VERDICT, DIFFERENCE, COMPARISON, STUDY, DATE))
    alone = replace(report, comparison=Comparison(Status.NO_PRIOR))
    assert texts(read(to_sr(alone, "en")), COMPARISON[2]) == [ENGLISH["comparison.no_prior"]]
    assert read_all(to_sr(alone, "en")).prior is None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dciodvfy_finds_no_error_in_comparisons_of_all_kinds(validated, language):
    for seed in range(12):
        assert (seed, validated(to_sr(drawn(seed), language))) == (seed, [])


def test_highdicom_reads_the_verdicts(make, tmp_path):
    highdicom = pytest.importorskip("highdicom")
    path = tmp_path / "sr.dcm"
    path.write_bytes(to_sr(make.compared(), "en"))
    groups = highdicom.sr.srread(path).content.get_planar_roi_measurement_groups()
    found = [[(one.name.meaning, one.value.meaning) for one in group.get_qualitative_evaluations()] for group in groups]
    assert ("Qualitative Difference", "Increase in size") in found[0]
    assert ("Qualitative Difference", ENGLISH["verdict.new"]) in found[4]
    (grown,) = groups[0].get_measurements(name=highdicom.sr.CodedConcept(*DIFFERENCE))
    assert grown.value == pytest.approx(10.123456789)
    assert grown.unit.value == "mm"


def test_depth_and_plane_come_back(make):
    report = make.report([make.finding(0.9, place=make.at(0.2, 0.5)), make.finding(0.8, place=make.at(0.8, 0.5))])
    found = read_sr(to_sr(report, "zh"))
    assert [(one.depth, one.size_plane) for one in found] == [("central", "detector"), ("peripheral", "detector")]
    (found,) = read_sr(to_sr(make.report([make.finding(0.9, size=None)]), "en"))
    assert (found.depth, found.size_plane) == (None, None)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_of_the_earlier_study_is_cleaned_or_refused(make, validated, text):
    report = make.compared()
    changes = tuple(replace(one, type=text) for one in report.comparison.changes)
    prior = replace(report.comparison.prior, date=text)
    data = to_sr(replace(report, comparison=replace(report.comparison, changes=changes, prior=prior)), "en")
    assert validated(data) == []
    assert read_all(data).prior == ("2.25.9", None)
    broken = replace(report.comparison, prior=replace(prior, study=text))
    with pytest.raises(DataError, match="the earlier study has no UID"):
        to_sr(replace(report, comparison=broken), "en")


@pytest.mark.parametrize("change", [float("inf"), 1e300])
def test_a_change_that_is_no_size_is_refused(make, change):
    report = make.compared()
    first = report.comparison.changes[0]
    assert first.verdict is Verdict.GROWN
    wrong = replace(first, size=replace(first.size, now_mm=change))
    with pytest.raises(DataError, match="change of size"):
        to_sr(replace(report, comparison=replace(report.comparison, changes=(wrong,))), "en")


def test_days():
    assert day_of("2019-02-03") == "2019-02-03"
    assert day_of("20190203") == "2019-02-03"
    assert day_of("2019-02-31") is day_of("") is day_of("<script>") is None
