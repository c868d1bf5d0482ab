from dataclasses import replace

import pytest

from radvit.records import Location
from radvit.report import wording
from radvit.report.build import Bands, build_report
from radvit.report.html import to_html
from radvit.report.json_form import to_dict


@pytest.fixture
def merged(make):
    """A report of images of the given views, one list of findings each."""

    def build(views, *groups):
        result = make.study(len(views))
        images = tuple(
            replace(image, header=replace(image.header, view=view))
            for image, view in zip(result.images, views, strict=True)
        )
        return build_report(replace(result, images=images), groups, ("nodule",), Bands(), make.provenance)

    return build


def entries(report):
    return [(entry.numbers, entry.score, entry.supported_by) for entry in report.merged]


def test_the_same_place_on_two_frontal_images_is_one(make, merged):
    report = merged(["PA", "AP"], [make.finding(0.6)], [make.finding(0.9)])
    assert entries(report) == [((1, 2), 0.9, ())]
    assert (report.merged[0].side, report.merged[0].zone) == ("right", "upper")


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "mass"},
        {"place": Location("left", "upper")},
        {"place": Location("right", "lower")},
        {"place": Location("right", None)},
        {"place": Location()},
    ],
    ids=str,
)
def test_another_type_or_place_is_another(make, merged, changes):
    report = merged(["PA", "PA"], [make.finding(0.6)], [make.finding(0.9, **changes)])
    assert entries(report) == [((1,), 0.9, ()), ((2,), 0.6, ())]


def test_findings_without_a_place_are_never_joined(make, merged):
    unplaced = make.finding(0.6, place=Location())
    whole = make.finding(0.5, box=None, size=None)
    assert len(merged(["PA", "PA"], [unplaced, whole], [unplaced, whole]).merged) == 4


def test_findings_of_one_image_stay_apart_and_the_nearest_are_paired(make, merged):
    high, low = (100.0, 50.0, 150.0, 100.0), (100.0, 200.0, 150.0, 250.0)
    first = [make.finding(0.9, box=high), make.finding(0.8, box=low)]
    second = [make.finding(0.7, box=low), make.finding(0.6, box=high)]
    assert entries(merged(["PA", "PA"], first, second)) == [((1, 4), 0.9, ()), ((2, 3), 0.8, ())]
    assert entries(merged(["PA", "PA"], first, second[:1])) == [((1,), 0.9, ()), ((2, 3), 0.8, ())]
    assert len(merged(["PA"], first).merged) == 2


def test_a_lateral_image_only_supports(make, merged):
    lateral = make.finding(0.95, place=Location(None, "upper"))
    elsewhere = make.finding(0.94, place=Location(None, "lower"))
    report = merged(["PA", "LL"], [make.finding(0.6)], [lateral, elsewhere])
    assert entries(report) == [((3,), 0.6, (1,))]
    assert entries(merged(["LL"], [lateral])) == [((1,), 0.95, ())]  # alone, it stands for itself


def test_nothing_found(merged):
    assert merged(["PA", "LL"], [], []).merged == ()


def test_words_and_forms(make, merged):
    lateral = make.finding(0.4, place=Location(None, "upper"))
    report = merged(["PA", "AP", "LL"], [make.finding(0.6)], [make.finding(0.9)], [lateral])
    english = wording.merged(report, wording.words("en"))
    assert english == [
        "Findings 1 and 2 are taken for one and the same nodule, of confidence 0.90.",
        "Finding 3 on a lateral image supports finding 1.",
    ]
    assert "视为同一结节" in wording.merged(report, wording.words("zh"))[0]
    assert all(sentence in to_html(report, (), "en") for sentence in english)
    (entry,) = to_dict(report)["study_findings"]
    assert (entry["numbers"], entry["score"], entry["supported_by"]) == ((1, 2), 0.9, (3,))
    assert wording.merged(merged(["PA"], [make.finding(0.9)]), wording.words("en")) == []
