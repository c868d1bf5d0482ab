from dataclasses import replace

import numpy as np
import pytest

from radvit.inference.location import is_frontal_chest, locate, shows
from radvit.inference.lung_field import LungField
from radvit.records import Geometry, Header, Location

HEADER = Header("P-A", "2.25.1", "2.25.2", "2.25.3", "DX", "CHEST", "PA", patient_orientation=("L", "F"))
GEOMETRY = Geometry(1000, 1000)


def field():
    """Lungs from 10 to 40 and from 60 to 90 of 100 columns; rows 10 to 70 and 22 to 82."""
    first, second = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    first[10:70, 10:40] = True
    second[22:82, 60:90] = True
    return LungField.of_masks(first, second)


def place(x, y, header=HEADER):
    """Where the point of a column and a row of 100 lies."""
    return locate((10 * x - 5, 10 * y - 5, 10 * x + 5, 10 * y + 5), header, GEOMETRY, field())


def in_words(location):
    """The location without its lung-relative place."""
    return replace(location, outwards=None, height=None)


def test_the_midline_lies_between_the_inner_edges():
    assert field().midline == pytest.approx(0.5)
    assert [(lung.top, lung.bottom) for lung in field().lungs] == [(0.1, 0.7), (0.22, 0.82)]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (20, 29, ("right", "upper", "peripheral")),  # the image's upper third is up to row 33
        (20, 31, ("right", "middle", "peripheral")),
        (70, 41, ("left", "upper", "central")),  # of a lung that begins lower
        (70, 43, ("left", "middle", "central")),
        (70, 63, ("left", "lower", "central")),
        (71, 63, ("left", "lower", "peripheral")),  # halfway from column 50 to 90 is column 70
        (31, 63, ("right", "lower", "central")),
        (55, 63, ("left", "lower", "outside")),
        (95, 63, ("left", "lower", "outside")),
        (70, 90, ("left", None, "outside")),
        (70, 15, ("left", None, "outside")),
    ],
)
def test_place_by_the_lungs(x, y, expected):
    assert in_words(place(x, y)) == Location(*expected, "lungs")


def test_the_side_follows_the_midline_of_the_lungs():
    first, second = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    first[10:70, 10:50] = True
    second[10:70, 70:99] = True
    shifted = LungField.of_masks(first, second)
    assert locate((540, 400, 560, 420), HEADER, GEOMETRY, shifted).side == "right"
    assert locate((540, 400, 560, 420), HEADER, GEOMETRY).side == "left"


def test_sides_are_not_guessed():
    nameless = place(20, 29, replace(HEADER, patient_orientation=None))
    assert in_words(nameless) == Location(None, "upper", "peripheral", "lungs")
    assert place(20, 29, replace(HEADER, patient_orientation=("R", "F"))).side == "left"


def test_upside_down():
    turned = replace(HEADER, patient_orientation=("L", "H"))
    assert place(20, 71, turned).height == pytest.approx(place(20, 29).height)
    assert in_words(place(20, 71, turned)) == Location("right", "upper", "peripheral", "lungs")


def test_without_lungs_thirds_of_the_image():
    assert locate((190, 300, 210, 320), HEADER, GEOMETRY) == Location("right", "upper", None, "image")


@pytest.mark.parametrize(
    "masks",
    [
        ((10, 40, 10, 70), (45, 60, 10, 25)),  # far too unlike
        ((10, 40, 0, 40), (60, 90, 50, 90)),  # one above the other
        ((10, 20, 10, 70), (25, 35, 10, 70)),  # both in one half
    ],
    ids=["unlike", "unlevel", "one half"],
)
def test_what_is_no_pair_is_no_field(masks):
    lungs = []
    for left, right, top, bottom in masks:
        lungs.append(np.zeros((100, 100), bool))
        lungs[-1][top:bottom, left:right] = True
    assert LungField.of_masks(*lungs) is None
    assert LungField.of_masks(lungs[0], np.zeros((100, 100), bool)) is None


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (20, 40, (0.75, 0.5)),  # 30 of the 40 columns from the midline, 30 of the 60 rows
        (70, 22, (0.5, 0.0)),  # of a lung that begins lower
        (95, 52, (1.125, 0.5)),
        (70, 88, (0.5, 1.1)),
    ],
)
def test_lung_relative_place(x, y, expected):
    found = place(x, y)
    assert (found.outwards, found.height) == pytest.approx(expected)


def test_lung_relative_places_follow_the_lungs_not_the_image():
    """The same chest, drawn smaller and elsewhere, gives the same place."""
    first, second = np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    first[60:120, 50:80] = True
    second[72:132, 100:130] = True
    moved = locate((595, 895, 605, 905), HEADER, Geometry(2000, 2000), LungField.of_masks(first, second))
    assert (moved.outwards, moved.height) == pytest.approx((place(20, 40).outwards, place(20, 40).height))


def test_a_lung_that_the_image_cuts_gives_no_place():
    first, second = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    first[30:100, 10:40] = True
    second[30:90, 60:90] = True
    cut = LungField.of_masks(first, second)
    assert locate((200, 400, 210, 410), HEADER, GEOMETRY, cut).outwards is None
    assert locate((700, 400, 710, 410), HEADER, GEOMETRY, cut).outwards is not None


def test_a_place_and_its_point_are_inverse():
    extent = field().extent
    for half, (across, down) in enumerate([(0.2, 0.4), (0.8, 0.9)]):
        assert extent.absolute(half, *extent.relative(across, down)) == pytest.approx((across, down))


@pytest.mark.parametrize(
    ("side", "outwards", "height", "expected"),
    [
        ("right", 0.5, 0.5, True),
        ("right", 1.3, 0.5, False),  # the image ends at 1.25 of the way
        ("left", 0.5, 1.25, True),
        ("left", 0.5, 1.35, False),  # and at 1.3 of the left lung's height
        ("left", None, None, None),
        (None, 0.5, 0.5, None),
    ],
)
def test_whether_an_image_shows_a_place(side, outwards, height, expected):
    location = Location(side, outwards=outwards, height=height)
    assert shows(location, HEADER, field().extent) is expected


def test_an_image_without_lungs_or_sides_does_not_tell_what_it_shows():
    location = Location("left", outwards=0.5, height=0.5)
    assert shows(location, HEADER, None) is None
    assert shows(location, replace(HEADER, patient_orientation=None), field().extent) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"view": None}, True),
        ({"view": None, "patient_orientation": ("A", "F")}, False),
        ({"view": "LL"}, False),
        ({"body_part": "HAND"}, False),
        ({"modality": "CT"}, False),
    ],
)
def test_frontal_chest_radiographs(changes, expected):
    assert is_frontal_chest(replace(HEADER, **changes)) is expected
