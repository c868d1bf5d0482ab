import json
import re
from dataclasses import replace

import pytest

from radvit.errors import ConfigError, DataError
from radvit.report.html import Picture
from radvit.report.json_form import to_dict
from radvit.report.review import (
    REVIEW,
    Action,
    Entry,
    Review,
    coco,
    next_number,
    read_review,
    reviewed,
    signed,
    with_entry,
    write_review,
)
from radvit.report.signed import tag, to_signed
from radvit.report.wording import LANGUAGES

BOX = (1.0, 2.0, 30.0, 40.0)


def entry(number, action=Action.ACCEPT, **more):
    return Entry(number, action, "Dr Who", "2026-01-02T03:04:05Z", **more)


@pytest.fixture
def report(make):
    return make.report([make.finding(0.9), make.finding(0.6, box=(10.0, 20.0, 30.0, 40.0))])


def grown(report, *entries):
    review = Review("ab")
    for one in entries:
        review = with_entry(review, report, one)
    return review


def test_what_is_written_is_read_back(report, tmp_path):
    review = grown(report, entry(1), entry(2, Action.EDIT, type="mass", side="left", box_px=BOX, note="寸 <b>"))
    review = signed(review, report, " Dr Who ")
    write_review(tmp_path, review)
    assert read_review(tmp_path, "ab") == review
    assert [path.name for path in tmp_path.iterdir()] == [REVIEW]


def test_no_review_is_an_empty_one(tmp_path):
    assert read_review(tmp_path, "ab") == Review("ab")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "radvit.review/9"}'])
def test_a_damaged_review_is_named(text, tmp_path):
    (tmp_path / REVIEW).write_text(text)
    with pytest.raises(DataError, match=r"review\.json: not a review"):
        read_review(tmp_path, "ab")


def test_a_review_of_another_report_is_refused(report, tmp_path):
    write_review(tmp_path, grown(report, entry(1)))
    with pytest.raises(DataError, match="about another findings"):
        read_review(tmp_path, "cd")


def test_the_last_decision_counts_and_none_is_lost(report):
    review = grown(report, entry(1, Action.REJECT), entry(1), entry(2, Action.REJECT))
    first, second = reviewed(report, review)
    assert (first.stands, first.is_changed, second.stands, second.is_changed) == (True, False, False, True)
    assert len(review.entries) == 3


def test_a_change_touches_only_what_it_names(report):
    (_, second) = reviewed(report, grown(report, entry(2, Action.EDIT, type="mass")))
    assert (second.type, second.side, second.box_px) == ("mass", "right", (10.0, 20.0, 30.0, 40.0))


def test_a_missed_finding_is_added_then_changed_then_rejected(report):
    review = grown(report, entry(3, Action.ADD, type="mass", box_px=BOX, image=1))
    assert next_number(report, review) == 4
    review = with_entry(review, report, entry(3, Action.EDIT, side="left"))
    (*_, added) = reviewed(report, review)
    assert (added.number, added.type, added.side, added.box_px, added.score) == (3, "mass", "left", BOX, None)
    assert added.is_changed
    (*_, gone) = reviewed(report, with_entry(review, report, entry(3, Action.REJECT)))
    assert not gone.stands


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (entry(9), "finding 9"),
        (entry(4, Action.ADD, type="mass", box_px=BOX, image=1), "number 3"),
        (entry(3, Action.ADD, type="mass", box_px=BOX, image=7), "image 7"),
        (entry(3, Action.ADD, type="mass", image=1), "a box"),
        (entry(2, Action.EDIT, box_px=(5.0, 5.0, 5.0, 9.0)), "x1 < x2"),
        (entry(2, Action.EDIT, box_px=(0.0, 0.0, 601.0, 9.0)), "600 x 800"),
        (entry(2, Action.EDIT, box_px=(0.0, 0.0, float("nan"), 9.0)), "x1 < x2"),
        (entry(2, Action.EDIT, side="middle"), "side"),
        (entry(2, Action.EDIT, type=" "), "1 to 64"),
        (entry(1, note="x" * 2001), "note"),
        (replace(entry(1), by=" "), "name"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused(one, why, report):
    with pytest.raises(ConfigError, match=why):
        with_entry(Review("ab"), report, one)


def test_only_what_is_decided_whole_is_signed_and_a_later_word_undoes_it(report):
    review = grown(report, entry(1))
    with pytest.raises(ConfigError, match="findings 2 are undecided"):
        signed(review, report, "Dr Who")
    review = signed(with_entry(review, report, entry(2)), report, "Dr Who")
    assert review.is_signed
    assert not with_entry(review, report, entry(2, Action.REJECT)).is_signed


def test_signed_reviews_become_coco(report, make):
    done = signed(grown(report, entry(1, Action.REJECT), entry(2, Action.EDIT, type="mass", box_px=BOX)), report, "x")
    draft = grown(report, entry(1))
    truth = json.loads(json.dumps(coco([(report, done), (report, draft)])))
    assert truth["images"] == [{"id": 1, "pseudonym": "2.25.12", "frame": 0, "height": 800, "width": 600}]
    (annotation,) = truth["annotations"]
    assert annotation["bbox"] == [1, 2, 29, 38]
    assert truth["categories"] == [{"id": 1, "name": "mass"}]


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_the_signed_page_says_what_a_person_changed(language, report):
    review = grown(report, entry(1), entry(2, Action.EDIT, type="mass", note="<script>x</script>"))
    draft = to_signed(report, review, (), language)
    page = to_signed(report, signed(review, report, "Dr <i>Who</i>"), (), language)
    w = LANGUAGES[language]
    assert w["review.unsigned"] in draft
    assert w["review.changed.one"].format(numbers="2") in page
    assert "Dr &lt;i&gt;Who&lt;/i&gt;" in page
    assert "<script>" not in page
    assert "<i>" not in page


def test_the_signed_page_draws_what_stands_and_says_who_added(report):
    review = grown(report, entry(1, Action.REJECT), entry(2), entry(3, Action.ADD, type="mass", box_px=BOX, image=1))
    page = to_signed(report, review, (Picture(1, b"x"),), "en")
    drawn = re.findall(r'<g class="mark (\w+)" role="img" aria-label="Box of finding (\d), (\w+)">', page)
    assert drawn == [("reject", "1", "rejected"), ("accept", "2", "accepted"), ("add", "3", "added")]
    assert '<rect class="box" x="1.0" y="2.0" width="29.0" height="38.0"/>' in page
    assert '<b>3</b> <span class="word">added</span> <span class="soft">by Dr Who at 2026-01-02 03:04:05 (UTC)' in page
    assert "Now: mass; box from 1, 2 (left, top) to 30, 40 (right, bottom) in pixels." in page


@pytest.mark.parametrize(
    "box", [None, (0.0, 0.0, 5.0, 5.0), (590.0, 790.0, 600.0, 800.0), (300.0, 400.0, 310.0, 420.0)]
)
@pytest.mark.parametrize("number", [1, 12, 345])
def test_a_tag_stands_within_the_image(box, number, make):
    place = tag(number, box, make.geometry)
    assert 0 <= place["x"] <= make.geometry.columns - place["width"]
    assert 0 <= place["y"] <= make.geometry.rows - place["height"]


def test_a_report_without_findings_is_signed_at_once(make):
    report = make.report()
    assert "No finding with a confidence" in to_signed(report, signed(Review("ab"), report, "x"), (), "en")
    assert to_dict(report)["findings"] == []
