import html
import re

import numpy as np
import pytest

from radvit.errors import UntrueReportError
from radvit.records import Location
from radvit.report import wording
from radvit.report.check import FHIR, PAGE, PDF, SR, differences, pdf_text
from radvit.report.fhir import to_fhir
from radvit.report.forms import checked
from radvit.report.html import Picture, to_html
from radvit.report.overlay import jpeg
from radvit.report.page_text import PageText
from radvit.report.pdf import check_pdf, to_pdf
from radvit.report.said_text import sentence_said
from radvit.report.sr import to_sr

from .mutations import wrong_resource, wrong_sentence, wrong_tree
from .random_reports import drawn

LANGUAGES = ("en", "zh")
MANY = 150  # reports of a language; experiments/reports draws more


def forms_of(report, language, pdf=False):
    """The page of a report, and its forms by file name."""
    jpeg_of = jpeg(np.full((400, 300), 90, np.uint8))
    pictures = tuple(Picture(image.number, jpeg_of) for image in report.images) if pdf else ()
    page = to_html(report, pictures, language)
    made = {PAGE: page.encode(), FHIR: to_fhir(report, language).encode(), SR: to_sr(report, language)}
    return page, made | ({PDF: to_pdf(page)} if pdf else {})


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    """Both, where this machine can write PDF in them."""
    check_pdf(request.param)
    return request.param


def test_what_was_written_is_read_back(language):
    for seed in range(MANY):
        report = drawn(seed)
        page, made = forms_of(report, language)
        assert differences(report, made, language, page) == [], seed


def test_a_pdf_says_what_its_page_says(language):
    for seed in (0, 1, 2, 3, 215, 493):  # the last two: finding 11 after a line that ends in image 1
        report = drawn(seed)
        page, made = forms_of(report, language, pdf=True)
        assert differences(report, made, language, page) == [], seed


@pytest.mark.parametrize("what", ["side", "size", "score", "band"])
def test_a_wrong_sentence_is_caught(what, language):
    rng, caught = np.random.default_rng(1), 0
    for seed in range(60):
        report = drawn(seed)
        page, made = forms_of(report, language)
        for item in report.findings:
            sentence = wording.finding_sentence(item, wording.words(language))
            wrong = wrong_sentence(sentence, what, language, rng)
            if wrong is None:
                continue
            bad = page.replace(html.escape(sentence, quote=False), html.escape(wrong, quote=False), 1)
            assert bad != page
            found = differences(report, {**made, PAGE: bad.encode()}, language, page)
            assert any(one.startswith(f"{PAGE}: finding") for one in found), (seed, wrong)
            caught += 1
    assert caught > 20


def test_a_wrong_pdf_is_caught(make, language):
    report = make.report([make.finding(0.9)])
    page = to_html(report, (), language)
    sentence = wording.finding_sentence(report.findings[0], wording.words(language))
    for what in ("side", "size", "score", "band"):
        wrong = wrong_sentence(sentence, what, language, np.random.default_rng(0))
        found = differences(report, {PDF: to_pdf(page.replace(sentence, wrong, 1))}, language, page)
        assert any(one.startswith(f"{PDF}: finding 1") for one in found), what


@pytest.mark.parametrize("what", ["side", "size", "score", "band", "count"])
def test_a_wrong_resource_is_caught(what):
    rng, caught = np.random.default_rng(2), 0
    for seed in range(60):
        report = drawn(seed)
        page, made = forms_of(report, "en")
        wrong = wrong_resource(made[FHIR].decode(), what, rng)
        if wrong is not None:
            assert differences(report, {FHIR: wrong.encode()}, "en", page), seed
            caught += 1
    assert caught > 20


@pytest.mark.parametrize("what", ["side", "size", "score", "band", "count"])
def test_a_wrong_structured_report_is_caught(what):
    rng, caught = np.random.default_rng(3), 0
    for seed in range(60):
        report = drawn(seed)
        page, made = forms_of(report, "en")
        wrong = wrong_tree(made[SR], what, rng)
        if wrong is not None:
            assert differences(report, {SR: wrong}, "en", page), seed
            caught += 1
    assert caught > 20


def test_a_missing_finding_a_wrong_number_and_a_wrong_count_are_caught(make):
    report = make.report([make.finding(0.9), make.finding(0.6)])
    page, _ = forms_of(report, "en")
    for bad in (
        re.sub(r'<li class="moderate"[^>]*>.*?</li>', "", page, count=1, flags=re.DOTALL),
        page.replace('class="number">2</span>', 'class="number">3</span>'),
        page.replace("2 findings with", "3 findings with"),
        page.replace("(finding 1)", "(finding 2)"),
        page.replace("63 years", "36 years"),
    ):
        assert bad != page
        assert differences(report, {PAGE: bad.encode()}, "en", page)


def test_a_box_that_was_moved_on_the_page_is_caught(make):
    report = make.report([make.finding(0.9)])
    page = to_html(report, (Picture(1, b"x"),), "en")
    bad = re.sub(r'(<rect class="box"[^>]* x=")[^"]*', r"\g<1>7.0", page)
    assert differences(report, {PAGE: page.encode()}, "en", page) == []
    spoken = re.sub(r"(<title>1\. )Nodule", r"\g<1>Mass", page)
    for wrong in (bad, spoken):
        assert wrong != page
        (found,) = differences(report, {PAGE: wrong.encode()}, "en", page)
        assert "a box, or its words, as findings.json has them" in found


def test_what_is_no_form_at_all_is_named(make):
    report = make.report([make.finding(0.9)])
    page, _ = forms_of(report, "en")
    for name, data in (
        (PAGE, b"<html lang='fr'>"),
        (PAGE, b"\xff"),
        (PDF, b"%PDF-nothing"),
        (FHIR, b"[]"),
        (FHIR, b"{"),
    ):
        (found,) = differences(report, {name: data}, "en", page)
        assert found.startswith(f"{name}: ")


def test_a_report_that_differs_is_not_kept(make):
    report = make.report([make.finding(0.9)])
    page, made = forms_of(report, "en")
    checked(report, {FHIR: made[FHIR]}, page, "en")
    wrong = made[FHIR].replace(b'"value": 0.9,', b'"value": 0.8,')
    with pytest.raises(
        UntrueReportError, match=r"not written, as its forms differ: report\.fhir\.json: finding 1: conf"
    ):
        checked(report, {FHIR: wrong}, page, "en")


@pytest.mark.parametrize("label", ["nodule in the left upper zone", "a; b", "<b>x</b>", "见肿块征象", "x, central"])
def test_odd_labels_are_read_back_or_refused_but_never_taken_for_something_else(label, make, language):
    report = make.report([make.finding(0.9, label, place=Location("right", "lower"))], labels=(label,))
    page, made = forms_of(report, language)
    found = differences(report, made, language, page)
    assert all("finding 1: type" in one or "no place" in one or "no confidence" in one for one in found)


def test_text_of_a_page_is_what_is_seen():
    page = PageText(
        "<html lang='en'><title>t</title><style>s{}</style><script>x()</script><p>a <b>b</b><br> c</p>"
        "<svg><title>unseen</title><text>d</text></svg></html>"
    )
    assert page.text == ["a", "b", "c", "d"]
    assert page.language == "en"


def test_a_sentence_of_nobody_is_refused():
    with pytest.raises(Exception, match="no confidence"):
        sentence_said(1, "The patient is healthy.", "en")


def test_the_text_of_a_pdf_holds_chinese(make):
    check_pdf("zh")
    text = pdf_text(to_pdf(to_html(make.report([make.finding(0.9)]), (), "zh")))
    assert "高度可疑" in "".join(text.split())
