from dataclasses import replace

import pytest

from radvit.records import Location, SpacingPlane
from radvit.report import wording
from radvit.report.html import Picture, to_html
from radvit.report.verdicts import Change, Comparison, Criteria, Prior, Size, Status, Verdict
from radvit.report.wording_comparison import change, compared_with, limits
from radvit.report.words_en import ENGLISH

EN, ZH = wording.words("en"), wording.words("zh")
PLACE = Location("right", "upper", "central", "lungs", 0.3, 0.2)
PRIOR = Prior("2.25.9", "2019-02-03", 365)


def sized(verdict, before, now, plane=SpacingPlane.DETECTOR):
    return Change(verdict, "nodule", 1, 2, PLACE, size=Size(before, now, plane))


def test_which_study():
    told = Comparison(Status.COMPARED, PRIOR, Criteria(), (sized(Verdict.STABLE, 9, 9),))
    assert compared_with(told, EN) == ["Compared with this patient's study of 2019-02-03, 365 days earlier."]
    assert compared_with(replace(told, prior=replace(PRIOR, days=1)), EN)[0].endswith(", 1 day earlier.")
    assert compared_with(replace(told, changes=()), EN)[1] == ENGLISH["comparison.nothing"]
    assert "2019-02-03" in compared_with(told, ZH)[0]


def test_what_has_no_place_in_the_order():
    told = Comparison(Status.NO_PRIOR, same_day=1, undated=2)
    assert compared_with(told, EN) == [
        "No earlier frontal chest radiograph of this patient was compared.",
        "1 other study of the same day was not compared: their order isn't known.",
        "2 other studies were not compared: they have no date.",
    ]


@pytest.mark.parametrize("w", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPARED])
def test_every_reason_has_words(w, status):
    (sentence,) = compared_with(Comparison(status), w)
    assert sentence == w[f"comparison.{status.value}"]


def test_sizes():
    word, sentence = change(sized(Verdict.GROWN, 10.04, 16), EN)
    assert word == "Larger"
    assert sentence == (
        "Finding 1, nodule in the right upper zone, central: longest side of the box 10.0 mm before, 16.0 mm now "
        "(+6.0 mm, +59 %; at the detector)."
    )
    assert "(\N{MINUS SIGN}6.0 mm, \N{MINUS SIGN}38 %;" in change(sized(Verdict.SHRUNK, 16, 10), EN)[1]
    assert "(0.0 mm, 0 %;" in change(sized(Verdict.STABLE, 16, 15.98), EN)[1]
    assert change(sized(Verdict.GROWN, 10, 16), ZH)[0] == "增大"


@pytest.mark.parametrize(
    ("verdict", "numbers", "shown", "sentence"),
    [
        (Verdict.NEW, (1, None), True, "Finding 1, {}: not found above the threshold on the earlier images."),
        (Verdict.GONE, (None, 2), True, "Earlier finding 2, {}: not found above the threshold on the present images."),
        (Verdict.UNSHOWN, (None, 2), False, "Earlier finding 2, {}: its place does not lie on the present images."),
        (Verdict.UNSHOWN, (1, None), False, "Finding 1, {}: its place does not lie on the earlier images."),
        (Verdict.SEEN, (1, 2), None, "Finding 1, {}: found on the earlier images too; the sizes can't be compared."),
    ],
)
def test_reasons(verdict, numbers, shown, sentence):
    item = Change(verdict, "nodule", *numbers, PLACE, shown)
    assert change(item, EN)[1] == sentence.format("nodule in the right upper zone, central")


def test_what_could_not_be_told_is_said():
    boxed = change(Change(Verdict.GONE, "nodule", None, 2, PLACE, None), EN)[1]
    assert boxed.endswith("on the present images. Whether they show its place could not be told.")
    whole = change(Change(Verdict.NEW, "pneumonia", 1), EN)[1]
    assert whole == "Finding 1, pneumonia: not found above the threshold on the earlier images."


@pytest.mark.parametrize("w", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("numbers", [(1, None), (None, 2)])
def test_every_verdict_has_words_in_both_languages(w, verdict, numbers):
    size = Size(9, 9, SpacingPlane.PATIENT) if verdict in (Verdict.GROWN, Verdict.SHRUNK, Verdict.STABLE) else None
    word, sentence = change(Change(verdict, "nodule", *numbers, PLACE, None, size), w)
    assert word == w[f"verdict.{verdict.value}"]
    assert "{" not in sentence


def test_limits_speak_only_of_what_applies(make):
    report = make.report()
    assert limits(report, EN) == []
    assert limits(replace(report, comparison=Comparison(Status.NO_PRIOR)), EN) == []
    told = Comparison(Status.COMPARED, PRIOR, Criteria(4, 15), (sized(Verdict.STABLE, 9, 9, SpacingPlane.PATIENT),))
    assert limits(replace(report, comparison=told), EN) == [
        ENGLISH["limit.matched"],
        "A size is called stable unless it differs by at least 4 mm and at least 15 %.",
    ]
    told = replace(told, changes=(Change(Verdict.NEW, "nodule", 1), sized(Verdict.GROWN, 9, 19)))
    found = limits(replace(report, comparison=told), EN)
    assert ENGLISH["limit.distance"] in found
    assert "What is new or not found again may only have crossed the threshold of 0.30." in found


@pytest.mark.parametrize(("language", "head"), [("en", "Comparison"), ("zh", "与既往检查对比")])
def test_the_page_has_the_section_where_it_was_asked_for(make, language, head):
    report = make.report([make.finding(0.9)])
    assert head not in to_html(report, (Picture(1, b""),), language)
    assert head in to_html(replace(report, comparison=Comparison(Status.NO_PRIOR)), (Picture(1, b""),), language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_text_stays_text(make, language):
    hostile = "<script>alert(1)</script>"
    changes = (Change(Verdict.NEW, hostile, 1, location=Location(None, "upper")),)
    told = Comparison(Status.COMPARED, Prior(hostile, hostile, 3), Criteria(), changes)
    page = to_html(replace(make.report([make.finding(0.9)]), comparison=told), (Picture(1, b""),), language)
    assert page.count("<script") == 1  # the page's own
    assert page.count("&lt;script&gt;alert(1)") == 3  # the type, the date and the pseudonym
