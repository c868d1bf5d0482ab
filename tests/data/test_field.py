from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.data.field import MARGIN, MOST, NEAR, Field, find_field
from radvit.data.preprocess import Preprocess
from radvit.errors import DataError
from radvit.records import FloatArray

CROPPED = Preprocess(64, crop_border=True)
shares = st.floats(0, MOST - 0.011)  # of a side; a pixel's rounding below the most
sizes = st.integers(100, 400)
RANGES = [(0.0, 1.0), (0.1, 0.9), (0.0, 0.0), (1.0, 1.0)]
seeds = st.integers(0, 2**20)


def chest(seed: int, shape: tuple[int, int]) -> FloatArray:
    """Something between the ends of the grey scale everywhere."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32)


def bordered(seed: int, shape: tuple[int, int], sides: tuple[float, ...], white: bool) -> tuple[FloatArray, Field]:
    """An image with a border of grains at one end of the scale, and the field within it."""
    rows, columns = shape
    top, left, bottom, right = (int(side * n) for side, n in zip(sides, (rows, columns) * 2, strict=True))
    field = Field(top, left, rows - bottom, columns - right)
    grains = np.random.default_rng(seed).uniform(0, 0.9 * NEAR, shape).astype(np.float32)
    image = 1 - grains if white else grains
    field.cut(image)[:] = chest(seed, field.shape)
    return image, field


@settings(deadline=None, max_examples=60)
@given(sizes, sizes, st.tuples(shares, shares, shares, shares), st.booleans(), seeds)
def test_planted_borders_are_found_and_nothing_else_is_cut(
    rows: int, columns: int, sides: tuple[float, ...], white: bool, seed: int
) -> None:
    image, field = bordered(seed, (rows, columns), sides, white)
    found = find_field(image)
    for ours, true, count in zip(
        (found.top, found.left, found.bottom, found.right),
        (field.top, field.left, field.bottom, field.right),
        (rows, columns) * 2,
        strict=True,
    ):
        assert abs(ours - true) <= MARGIN * count + 1
    assert found.top <= field.top
    assert found.left <= field.left
    assert found.bottom >= field.bottom
    assert found.right >= field.right


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, st.tuples(shares, shares, shares, shares), st.booleans(), seeds)
def test_boxes_map_forth_and_back(rows: int, columns: int, sides: tuple[float, ...], white: bool, seed: int) -> None:
    image, field = bordered(seed, (rows, columns), sides, white)
    _, placement = CROPPED.apply(image)
    corners = np.array([[field.left, field.top, field.right, field.bottom]], np.float64)
    inside = placement.to_model(corners)
    assert inside.min() >= -1e-9
    assert inside.max() <= 64 + 1e-9
    boxes = np.random.default_rng(seed).random((5, 4)) * [columns, rows, columns, rows]
    np.testing.assert_allclose(placement.to_image(placement.to_model(boxes)), boxes, atol=1e-9)
    single = boxes.astype(np.float32)
    np.testing.assert_allclose(placement.to_image(placement.to_model(single)), single, atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 300), st.integers(1, 300), seeds, st.sampled_from([(0.0, 1.0), (0.1, 0.9), (0.0, 0.0), (1.0, 1.0)])
)
def test_an_image_without_borders_stays_bit_for_bit(
    rows: int, columns: int, seed: int, greys: tuple[float, float]
) -> None:
    image = np.random.default_rng(seed).uniform(*greys, (rows, columns)).astype(np.float32)
    if greys == (0.0, 1.0):
        image[0, 0] = image[-1, -1] = 0.5  # of a few pixels, chance may make a border
        image[0, -1] = image[-1, 0] = 0.5
    plain, cropped = Preprocess(48), Preprocess(48, crop_border=True)
    square, placement = plain.apply(image)
    ours, place = cropped.apply(image)
    np.testing.assert_array_equal(ours, square)
    assert place == placement
    assert find_field(image) == Field.whole(image.shape)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 199), st.integers(0, 199), st.floats(NEAR + 0.005, 1), seeds)
def test_a_lesion_near_the_edge_is_kept(row: int, column: int, grey: float, seed: int) -> None:
    """One pixel in the border that isn't black as the border is, is never cut off."""
    image, _ = bordered(seed, (200, 200), (0.2, 0.2, 0.2, 0.2), white=False)
    image[row, column] = grey
    found = find_field(image)
    assert found.top <= row < found.bottom
    assert found.left <= column < found.right
    box = CROPPED.apply(image)[1].to_model(np.array([[column, row, column + 1, row + 1]], np.float64))
    assert -1e-9 <= box.min() <= box.max() <= 64 + 1e-9


def test_borders_of_two_colours_are_both_found() -> None:
    image, field = bordered(0, (200, 200), (0.1, 0.0, 0.0, 0.1), white=False)
    image[:, :30] = 1.0
    found = find_field(image[:, :])
    assert (found.top, found.left) == (0, 29)  # the row above is black and white: not at one end of the scale
    image[:20] = 0.0
    found = find_field(image)
    assert (found.top, found.left, found.right) == (19, 29, 181)
    assert found.bottom == field.bottom


def test_a_border_that_does_not_end_is_none() -> None:
    image = np.zeros((100, 100), np.float32)
    image[41:59, 41:59] = 0.5
    assert find_field(image) == Field(0, 0, 100, 100)
    image[40, 40] = image[59, 59] = 0.5
    assert find_field(image) == Field(39, 39, 61, 61)


def test_what_is_cropped_fills_the_square() -> None:
    image, field = bordered(3, (320, 320), (0.25, 0.25, 0.25, 0.25), white=True)
    square, placement = CROPPED.apply(image)
    inner, _ = Preprocess(64).apply(field.cut(image))
    assert placement.scale == pytest.approx(64 / 164)  # half of 320, and two of margin at each end
    assert np.abs(square[2:-2, 2:-2].astype(float) - inner[2:-2, 2:-2]).mean() < 0.2
    assert square[8:-8, 8:-8].std() > 0.05


def test_the_input_is_not_changed() -> None:
    image, _ = bordered(3, (128, 100), (0.1, 0.1, 0.1, 0.1), white=False)
    before = image.copy()
    CROPPED.apply(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", [32, 400])
def test_masks_go_where_their_images_go(size: int) -> None:
    image, _ = bordered(1, (240, 200), (0.2, 0.1, 0.3, 0.25), white=False)
    mask: npt.NDArray[np.uint8] = np.zeros((240, 200), np.uint8)
    mask[100:130, 60:100] = 1
    mask[60:64, 110:112] |= 2
    fitting = Preprocess(size, crop_border=True)
    square, placement = fitting.apply_mask(mask, fitting.field_of(image)), fitting.apply(image)[1]
    for bit, box in ((1, (60, 100, 100, 130)), (2, (110, 60, 112, 64))):
        rows, columns = np.nonzero(square & bit)
        found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(found, placement.to_model(np.array([box], np.float64))[0], atol=1)


def test_records_remember_it_and_older_ones_mean_none() -> None:
    fitting = Preprocess(64, crop_border=True)
    assert Preprocess.from_dict(json.loads(json.dumps(fitting.to_dict()))) == fitting
    older = {"size": 64, "mean": 0.5, "std": 0.25}
    assert Preprocess.from_dict(older) == Preprocess(64)
    with pytest.raises(DataError, match="expected the numbers"):
        Preprocess.from_dict({**older, "crop_border": "yes"})
