from dataclasses import replace

import pytest

from radvit.records import Location, SpacingPlane
from radvit.report.build import Bands, build_report
from radvit.report.compare import History, changes, compare, entries, matched
from radvit.report.verdicts import Comparison, Criteria, Prior, Status, Verdict


@pytest.fixture
def pair(make):
    """The changes between two studies, each of one image with the given findings."""

    def build(now, before, now_lungs=make.lungs, **criteria):
        report = make.report(now, lungs=[now_lungs])
        return changes(report, make.earlier(before), Criteria(**criteria))

    return build


def told(found):
    return [(change.verdict, change.number, change.prior_number) for change in found]


def test_one_lesion_that_grew(make, pair):
    (change,) = pair(
        [make.finding(0.9, place=make.at(0.5, 0.4), size=18)], [make.finding(0.8, place=make.at(0.52, 0.41), size=12)]
    )
    assert (change.verdict, change.number, change.prior_number) == (Verdict.GROWN, 1, 1)
    assert (change.size.before_mm, change.size.now_mm, change.size.plane) == (12, 18, SpacingPlane.DETECTOR)
    assert (change.type, change.location, change.shown) == ("nodule", make.at(0.5, 0.4), None)


@pytest.mark.parametrize(("now", "verdict"), [(12, Verdict.STABLE), (6, Verdict.SHRUNK), (17, Verdict.GROWN)])
def test_the_size_decides_the_verdict(make, pair, now, verdict):
    place = make.at(0.5, 0.4)
    assert told(pair([make.finding(0.9, place=place, size=now)], [make.finding(0.9, place=place, size=12)])) == [
        (verdict, 1, 1)
    ]


def test_new_and_gone(make, pair):
    found = pair([make.finding(0.9, place=make.at(0.2, 0.1))], [make.finding(0.9, place=make.at(0.8, 0.9))])
    assert told(found) == [(Verdict.NEW, 1, None), (Verdict.GONE, None, 1)]
    assert [change.shown for change in found] == [True, True]
    assert [change.location for change in found] == [make.at(0.2, 0.1), make.at(0.8, 0.9)]


@pytest.mark.parametrize("apart", [{"label": "mass"}, {"place": "left"}, {"place": "far"}])
def test_another_type_side_or_place_is_another_lesion(make, pair, apart):
    places = {"left": make.at(0.5, 0.4, "left"), "far": make.at(0.5, 0.56)}
    other = {"place": make.at(0.5, 0.4)} | apart
    other["place"] = places.get(other["place"], other["place"]) if isinstance(other["place"], str) else other["place"]
    found = pair([make.finding(0.9, place=make.at(0.5, 0.4))], [make.finding(0.9, **other)])
    assert told(found) == [(Verdict.NEW, 1, None), (Verdict.GONE, None, 1)]


def test_how_far_is_a_setting(make, pair):
    now, before = [make.finding(0.9, place=make.at(0.5, 0.4))], [make.finding(0.9, place=make.at(0.5, 0.6))]
    assert [change.verdict for change in pair(now, before, within=0.1)] == [Verdict.NEW, Verdict.GONE]
    assert [change.verdict for change in pair(now, before, within=0.25)] == [Verdict.STABLE]


@pytest.mark.parametrize(
    "change", [{"size": None}, {"plane": SpacingPlane.PATIENT}, {"plane": SpacingPlane.UNKNOWN}], ids=str
)
def test_sizes_of_different_planes_are_not_compared(make, pair, change):
    place = make.at(0.5, 0.4)
    now = make.finding(0.9, place=place, size=change.get("size", 30))
    now = replace(now, size_plane=change.get("plane", now.size_plane))
    (found,) = pair([now], [make.finding(0.9, place=place, size=12)])
    assert (found.verdict, found.size) == (Verdict.SEEN, None)


def test_two_unknown_planes_are_not_one(make, pair):
    found = replace(make.finding(0.9, place=make.at(0.5, 0.4)), size_plane=SpacingPlane.UNKNOWN)
    assert told(pair([found], [found])) == [(Verdict.SEEN, 1, 1)]


def test_lesions_are_paired_by_the_smallest_sum_not_greedily(make, pair):
    """The stronger finding lies nearest to the prior that the weaker one needs."""
    now = [make.finding(0.9, place=make.at(0.5, 0.50)), make.finding(0.8, place=make.at(0.5, 0.61))]
    before = [make.finding(0.9, place=make.at(0.5, 0.40)), make.finding(0.8, place=make.at(0.5, 0.52))]
    assert told(pair(now, before)) == [(Verdict.STABLE, 1, 1), (Verdict.STABLE, 2, 2)]


def test_as_many_pairs_as_lie_near_enough(make, pair):
    """Pairing the two nearest would leave two alone."""
    now = [make.finding(0.9, place=make.at(0.5, 0.50)), make.finding(0.8, place=make.at(0.5, 0.64))]
    before = [make.finding(0.9, place=make.at(0.5, 0.36)), make.finding(0.8, place=make.at(0.5, 0.51))]
    assert told(pair(now, before)) == [(Verdict.STABLE, 1, 1), (Verdict.STABLE, 2, 2)]


def test_of_two_equal_candidates_one_is_taken_and_the_other_is_gone(make, pair):
    place = make.at(0.5, 0.4)
    found = pair([make.finding(0.9, place=place)], [make.finding(0.9, place=place), make.finding(0.8, place=place)])
    assert told(found) == [(Verdict.STABLE, 1, 1), (Verdict.GONE, None, 2)]


def test_either_study_without_findings(make, pair):
    one = [make.finding(0.9, place=make.at(0.5, 0.4))]
    assert told(pair(one, [])) == [(Verdict.NEW, 1, None)]
    assert told(pair([], one)) == [(Verdict.GONE, None, 1)]
    assert pair([], []) == ()


def test_whether_the_place_is_shown_is_not_guessed(make, pair):
    (change,) = pair([], [make.finding(0.9, place=make.at(0.5, 0.4))], now_lungs=None)
    assert (change.verdict, change.shown) == (Verdict.GONE, None)


def test_a_place_outside_the_images_is_neither_new_nor_gone(make, pair):
    beyond = make.finding(0.9, place=make.at(1.4, 0.4))  # the image ends at 1.25 of the way
    assert told(pair([beyond], [])) == [(Verdict.UNSHOWN, 1, None)]
    assert told(pair([], [beyond])) == [(Verdict.UNSHOWN, None, 1)]


def test_without_a_place_by_the_lungs_nothing_is_said(make, pair):
    placed, by_image = make.finding(0.9, place=make.at(0.5, 0.4)), make.finding(0.8)
    assert told(pair([placed], [by_image])) == [(Verdict.UNCLEAR, 1, None), (Verdict.UNCLEAR, None, 1)]
    assert told(pair([by_image], [placed])) == [(Verdict.UNCLEAR, 1, None), (Verdict.UNCLEAR, None, 1)]
    elsewhere = make.finding(0.8, place=Location("left", "upper"))
    assert told(pair([placed], [elsewhere]))[0] == (Verdict.NEW, 1, None)
    other_type = make.finding(0.8, "mass")
    assert told(pair([placed], [other_type]))[0] == (Verdict.NEW, 1, None)


def test_what_is_judged_from_the_whole_image_goes_by_its_type(make):
    def whole(score, label, image="2.25.12"):
        return make.finding(score, label, None, None, image, Location())

    now = make.report([whole(0.9, "pneumonia")], [whole(0.8, "pneumonia"), whole(0.7, "hernia")])
    found = changes(now, make.earlier([whole(0.6, "pneumonia"), whole(0.5, "effusion")]), Criteria())
    assert told(found) == [(Verdict.SEEN, 1, 1), (Verdict.NEW, 3, None), (Verdict.GONE, None, 2)]


def test_a_study_of_several_images_speaks_by_its_lesions(make):
    place, image = make.at(0.5, 0.4), "2.25.13"
    now = make.report(
        [make.finding(0.7, place=place, size=None)],
        [make.finding(0.9, place=place, size=None, image=image)],
        lungs=[make.lungs] * 2,
    )
    before = make.earlier([make.finding(0.6, place=place)], [make.finding(0.5, place=place, image=image)])
    assert told(changes(now, before, Criteria())) == [(Verdict.SEEN, 1, 1)]
    sized = make.report(
        [make.finding(0.7, place=place, size=20)],
        [make.finding(0.9, place=place, size=None, image=image)],
        lungs=[make.lungs] * 2,
    )
    (change,) = changes(sized, before, Criteria())
    assert (change.verdict, change.size.now_mm) == (Verdict.GROWN, 20)


def test_lateral_images_are_left_out(make):
    result = make.study(2)
    lateral = replace(result.images[1], header=replace(result.images[1].header, view="LL"))
    result = replace(result, images=(result.images[0], lateral))
    found = ([make.finding(0.6, place=make.at(0.5, 0.4))], [make.finding(0.9, image="2.25.13", place=Location())])
    report = build_report(result, found, ("nodule",), Bands(), make.provenance)
    assert [entry.numbers for entry in entries(report)] == [(2,)]


def test_matching_does_not_depend_on_the_order(make):
    places = [make.at(0.5, 0.1 * k) for k in range(1, 8, 2)]
    now = entries(make.report([make.finding(0.9, place=place) for place in places]))
    before = entries(make.earlier([make.finding(0.9, place=place) for place in reversed(places)]))
    pairs = matched(now, before, 0.15)
    assert sorted((one.numbers[0], other.numbers[0]) for one, other in pairs) == [(1, 4), (2, 3), (3, 2), (4, 1)]


def test_compared(make):
    report = make.report([make.finding(0.9, place=make.at(0.5, 0.4))], lungs=[make.lungs])
    found = compare(report, History(make.earlier(), same_day=1, undated=2), Criteria(2.0))
    assert (found.status, found.prior) == (Status.COMPARED, Prior("2.25.9", "2019-02-03", 365))
    assert (found.same_day, found.undated, found.criteria) == (1, 2, Criteria(2.0))
    assert told(found.changes) == [(Verdict.NEW, 1, None)]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, Status.NO_PRIOR),
        ({"study_date": None}, Status.NO_DATE),
        ({"patient": ""}, Status.NO_PATIENT),
        ({"view": "LL"}, Status.NO_FRONTAL),
        ({"body_part": "HAND"}, Status.NO_FRONTAL),
    ],
)
def test_not_compared(make, changed, status):
    history = History() if status is Status.NO_PRIOR else History(make.earlier())
    assert compare(make.report(**changed), history, Criteria()) == Comparison(status)
