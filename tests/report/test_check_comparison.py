from dataclasses import replace

import pytest

from radvit.report.check import FHIR, PAGE, PDF, SR, differences
from radvit.report.fhir import read_prior, to_fhir
from radvit.report.forms import Form
from radvit.report.html import to_html
from radvit.report.pdf import check_pdf, to_pdf
from radvit.report.priors import compare_reports
from radvit.report.recheck import folder_differences
from radvit.report.said import ChangeSaid
from radvit.report.said_text import changes_in
from radvit.report.sr import read_sr, to_sr
from radvit.report.verdicts import Criteria, Verdict
from radvit.report.write import write_study

from .mutations import wrong_change_of_bundle, wrong_change_of_page, wrong_change_of_tree, wrong_prior
from .random_reports import drawn
from .test_check import forms_of

LANGUAGES = ("en", "zh")
SEEDS = range(30)


def changes_of(report):
    return () if report.comparison is None else report.comparison.changes


def is_of(change, what):
    """Only what stands in the earlier study alone can be left out without a trace among the findings."""
    return (change.number is None) == (what == "gone")


def test_reports_are_drawn_with_every_verdict():
    drawings = [drawn(seed) for seed in SEEDS]
    found = {change.verdict for report in drawings for change in changes_of(report)}
    assert found == set(Verdict)
    assert any(report.comparison is None for report in drawings)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_comparison_of_every_verdict_is_read_back(make, language):
    check_pdf(language)
    report = make.compared()
    assert {change.verdict for change in changes_of(report)} == set(Verdict)
    page, made = forms_of(report, language, pdf=True)
    assert differences(report, made, language, page) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", ["verdict", "mm", "gone"])
def test_a_wrong_change_on_the_page_is_caught(what, language):
    caught = 0
    for seed in SEEDS:
        report = drawn(seed)
        page = to_html(report, (), language)
        for change in changes_of(report):
            bad = wrong_change_of_page(page, what, change, language)
            if bad is not None:
                found = differences(report, {PAGE: bad.encode()}, language, page)
                assert any(one.startswith(f"{PAGE}: change") for one in found), (seed, change)
                caught += 1
    assert caught > 15


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", ["verdict", "mm", "gone"])
def test_a_wrong_change_in_a_pdf_is_caught(make, what, language):
    check_pdf(language)
    report = make.compared()
    page = to_html(report, (), language)
    changes = [one for one in changes_of(report) if is_of(one, what)]
    for change in changes if what == "gone" else changes[:2]:
        bad = wrong_change_of_page(page, what, change, language)
        found = differences(report, {PDF: to_pdf(bad)}, language, page)
        assert any(one.startswith(f"{PDF}: change") for one in found), change
    none = replace(report, comparison=None)
    (found,) = [
        one for one in differences(none, {PDF: to_pdf(page)}, language, to_html(none, (), language)) if "change" in one
    ]
    assert found.endswith("findings.json has []")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", ["verdict", "standard", "mm", "direction", "gone"])
def test_a_wrong_change_in_a_bundle_is_caught(what, language):
    caught = 0
    for seed in SEEDS:
        report = drawn(seed)
        bundle, page = to_fhir(report, language), to_html(report, (), language)
        for change in [one for one in changes_of(report) if is_of(one, what)]:
            bad = wrong_change_of_bundle(bundle, what, change, language)
            if bad is not None:
                assert differences(report, {FHIR: bad.encode()}, language, page), (seed, change)
                caught += 1
    assert caught > 5


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", ["verdict", "mm", "gone"])
def test_a_wrong_change_in_a_structured_report_is_caught(what, language):
    caught = 0
    for seed in SEEDS:
        report = drawn(seed)
        tree, page = to_sr(report, language), to_html(report, (), language)
        for change in [one for one in changes_of(report) if is_of(one, what)]:
            bad = wrong_change_of_tree(tree, what, change, language)
            if bad is not None:
                assert differences(report, {SR: bad}, language, page), (seed, change)
                caught += 1
    assert caught > 15


@pytest.mark.parametrize("what", ["uid", "date"])
def test_another_earlier_study_is_caught(make, what):
    report = make.compared()
    page, made = forms_of(report, "en")
    for name, data in ((SR, made[SR]), (FHIR, made[FHIR].decode())):
        bad = wrong_prior(data, what)
        bad = bad if isinstance(bad, bytes) else bad.encode()
        (found,) = differences(report, {name: bad}, "en", page)
        assert found.startswith(f"{name}: earlier study ")


def test_a_comparison_that_nobody_asked_for_is_caught(make):
    report = make.compared()
    none = replace(report, comparison=None)
    page, _ = forms_of(none, "en")
    _, made = forms_of(report, "en")
    for name in (PAGE, SR, FHIR):
        assert differences(none, {name: made[name]}, "en", page)


def test_changes_are_read_from_running_text():
    text = (
        "Larger Finding 1, nodule in the left side: longest side of the box 10.0 mm before, 16.0 mm now (+6.0 mm, "
        "+60 %; at the detector). Not found again Earlier finding 12, mass: not found above the threshold on the "
        "present images."
    )
    assert changes_in(text, "en") == (
        ChangeSaid("grown", 1, False, 10.0, 16.0, 6.0, 60.0, "detector"),
        ChangeSaid("gone", 12, True),
    )
    assert changes_in("Finding 1 is new.", "en") == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_folder_that_is_compared_later_says_the_same_in_all_its_forms(make, tmp_path, language):
    check_pdf(language)
    forms = (Form.PDF, Form.SR, Form.FHIR)
    for study, day, size in (("2.25.1", "2019-01-01", 12.0), ("2.25.2", "2020-01-01", 20.5)):
        found = [make.finding(0.9, place=make.at(0.5, 0.4), size=size)]
        report = replace(make.report(found, study_date=day, lungs=[make.lungs]), study=study)
        write_study(tmp_path / study, report, make.study(study_date=day).images, language, forms)
    assert compare_reports(tmp_path, Criteria(), language) == 2
    later = tmp_path / "2.25.2"
    assert folder_differences(tmp_path / "2.25.1") == folder_differences(later) == []
    (said,) = read_sr((later / SR).read_bytes())
    assert (said.verdict, said.change_mm) == ("grown", 8.5)
    assert read_prior((later / FHIR).read_text()) == ("2.25.1", "2019-01-01")
    (later / SR).write_bytes((later / SR).read_bytes().replace(b"15454001", b"19776001"))
    assert folder_differences(later) == [f"{SR}: finding 1: verdict shrunk; findings.json has grown"]
