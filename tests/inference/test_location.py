from dataclasses import replace

import numpy as np
import pytest

from radvit.inference.location import locate
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
    assert place(x, y) == Location(*expected, "lungs")


def test_the_side_follows_the_midline_of_the_lungs():
    first, second = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    first[10:70, 10:50] = True
    second[10:70, 70:99] = True
    shifted = LungField.of_masks(first, second)
    assert locate((540, 400, 560, 420), HEADER, GEOMETRY, shifted).side == "right"
    assert locate((540, 400, 560, 420), HEADER, GEOMETRY).side == "left"


def test_sides_are_not_guessed():
    assert place(20, 29, replace(HEADER, patient_orientation=None)) == Location(None, "upper", "peripheral", "lungs")
    assert place(20, 29, replace(HEADER, patient_orientation=("R", "F"))).side == "left"


def test_upside_down():
    turned = replace(HEADER, patient_orientation=("L", "H"))
    assert place(20, 71, turned) == Location("right", "upper", "peripheral", "lungs")  # row 29 from the head


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
