import numpy as np
import pytest

from radvit.inference.contrast import contrast
from radvit.records import Geometry

GEOMETRY = Geometry(400, 200)


def stripes(rows=200, columns=100):
    """Grey of 90 and 110 in turn: mean 100, standard deviation 10."""
    return np.tile(np.array([90, 110], np.uint8), (rows, columns // 2))


@pytest.mark.parametrize(("grey", "expected"), [(130, 3.0), (100, 0.0), (75, -2.5)])
def test_known_answer(grey, expected):
    picture = stripes()
    picture[40:60, 40:60] = grey
    before = picture.copy()
    assert contrast((80.0, 80.0, 120.0, 120.0), picture, GEOMETRY) == pytest.approx(expected)
    assert np.array_equal(picture, before)


def test_the_ring_is_half_the_longer_side_wide():
    picture = stripes()
    picture[40:60, 46:54] = 130
    picture[29, :] = 255  # just outside of a ring of 10 pixels
    picture[:, 35] = picture[:, 64] = 255
    assert contrast((92.0, 80.0, 108.0, 120.0), picture, GEOMETRY) == pytest.approx(3.0)
    picture[30, 40] = 255
    assert contrast((92.0, 80.0, 108.0, 120.0), picture, GEOMETRY) < 3.0


def test_at_the_edge_the_ring_is_cut():
    picture = stripes()
    picture[:20, :20] = 130
    assert contrast((-10.0, -4.0, 40.0, 40.0), picture, GEOMETRY) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 200.0, 400.0), (50.0, 50.0, 50.2, 90.0), (500.0, 500.0, 520.0, 520.0)], ids=str
)
def test_without_inside_or_ring_there_is_none(box):
    assert contrast(box, stripes(), GEOMETRY) is None


def test_a_plain_ring_has_no_spread():
    picture = np.full((200, 100), 90, np.uint8)
    picture[40:60, 40:60] = 130
    assert contrast((80.0, 80.0, 120.0, 120.0), picture, GEOMETRY) is None
