"""Masks on the model's grid, next to a slow reference that shares no code with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radvit.data.preprocess import Preprocess


def overlaps(source: int, target: int) -> np.ndarray:
    """How much of each of `target` cells of an axis each of `source` pixels covers: (target, source), rows sum to 1."""
    weights = np.zeros((target, source))
    for i in range(target):
        low, high = i * source / target, (i + 1) * source / target
        for j in range(source):
            weights[i, j] = max(0.0, min(high, j + 1) - max(low, j)) * target / source
    return weights


def slow(plane: np.ndarray, size: int) -> np.ndarray:
    """One class on the model's grid, where an image shrinks."""
    block = 1
    while max(plane.shape) // (2 * block) >= size:
        block *= 2
    padded = np.pad(plane, [(0, -n % block) for n in plane.shape], mode="edge").astype(np.float64)
    reduced = padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block).mean((1, 3))
    side = max(reduced.shape)
    top, left = ((side - n) // 2 for n in reduced.shape)
    canvas = np.zeros((side, side))
    canvas[top : top + reduced.shape[0], left : left + reduced.shape[1]] = reduced
    weights = overlaps(side, size)
    kept = weights @ canvas @ weights.T >= 0.5 - 1e-6
    before = kept.copy()
    lesions, count = ndimage.label(plane, np.ones((3, 3)))
    for lesion in range(1, count + 1):
        held = np.zeros((size, size), int)
        for row, column in zip(*np.nonzero(lesions == lesion), strict=True):
            y = int(((row + 0.5) / block + top) * size / side)
            x = int(((column + 0.5) / block + left) * size / side)
            held[min(y, size - 1), min(x, size - 1)] += 1
        if not before[held > 0].any():
            kept[np.unravel_index(held.argmax(), held.shape)] = True
    return kept


def blobs(shape: tuple[int, int], seed: int, level: float = 0.3) -> np.ndarray:
    """Two overlapping classes of blobs and specks, bits 0 and 5."""
    rng = np.random.default_rng(seed)
    smooth = [ndimage.gaussian_filter(rng.standard_normal(shape), sigma) for sigma in (3, 1)]
    first, second = (x > level * max(x.max(), 1e-9) for x in smooth)
    return first.astype(np.uint8) | second.astype(np.uint8) << 5


@pytest.mark.parametrize("shape", [(97, 203), (128, 64), (60, 60), (75, 41), (33, 29)])
@pytest.mark.parametrize("size", [16, 24])
def test_a_mask_is_reduced_as_the_slow_reference_does(shape: tuple[int, int], size: int) -> None:
    mask = blobs(shape, sum(shape))
    before = mask.copy()
    square = Preprocess(size).apply_mask(mask)
    assert (square.dtype, square.shape) == (np.uint8, (size, size))
    for k in (0, 5):
        np.testing.assert_array_equal(square >> k & 1, slow((mask >> k & 1).astype(bool), size))
    assert not (square & ~np.uint8(0b10_0001)).any()
    np.testing.assert_array_equal(mask, before)


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 300), columns=st.integers(1, 300), size=st.integers(4, 64), seed=st.integers(0, 99))
def test_no_lesion_vanishes_and_no_class_comes_up(rows: int, columns: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((rows, columns), np.uint8)
    row, column = rng.integers(rows), rng.integers(columns)
    mask[row, column] = 4
    square = Preprocess(size).apply_mask(mask)
    assert set(np.unique(square)) <= {0, 4}
    placement = Preprocess(size).apply(np.zeros((rows, columns), np.float32))[1]
    box = placement.to_model(np.array([[column, row, column + 1, row + 1]], np.float64))[0]
    y, x = np.nonzero(square)
    assert len(y) > 0
    assert box[0] - 1 <= x.min()
    assert x.max() <= box[2]
    assert box[1] - 1 <= y.min()
    assert y.max() <= box[3]


def test_a_growing_mask_takes_the_nearest_pixel() -> None:
    mask = np.random.default_rng(0).integers(0, 256, (7, 5)).astype(np.uint8)
    square = Preprocess(21).apply_mask(mask)  # three times, with three empty columns on either side
    np.testing.assert_array_equal(square[:, 3:18], mask.repeat(3, 0).repeat(3, 1))
    assert not square[:, :3].any()
    assert not square[:, 18:].any()


def test_a_mask_of_the_models_size_stays_as_it_is() -> None:
    mask = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    np.testing.assert_array_equal(Preprocess(28).apply_mask(mask), mask)


def test_a_whole_mask_fills_the_image_and_no_more() -> None:
    square = Preprocess(16).apply_mask(np.ones((100, 50), np.uint8))
    image, _ = Preprocess(16).apply(np.ones((100, 50), np.float32))
    np.testing.assert_array_equal(square, image >= 0.5)
