import cv2
import numpy as np
import pytest

from radvit.deid.rects import NONE
from radvit.deid.tight import tightened

BOX = np.array([[20, 20, 300, 60]])
WIDE = np.array([[0, 20, 340, 60]])


def written(noise, contrast=1000, seed=0):
    """Two words, and which pixels are ink."""
    ink = np.zeros((120, 380), np.uint8)
    cv2.putText(ink, "ROE", (40, 62), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2, cv2.LINE_AA)
    cv2.putText(ink, "47.11", (200, 62), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2, cv2.LINE_AA)
    values = 500 + contrast * (ink / 255) + np.random.default_rng(seed).normal(0, noise, ink.shape)
    return values.astype(np.int32), ink > 20


def covered(boxes, shape):
    mask = np.zeros(shape, bool)
    for left, top, width, height in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize("noise", [0, 3, 6])
@pytest.mark.parametrize("contrast", [1000, -400])
def test_clear_ink_is_covered_and_little_else(noise, contrast):
    values, ink = written(noise, contrast)
    before = values.copy()
    mask = covered(tightened(values, BOX, WIDE, NONE), values.shape)
    assert mask[ink].all()
    assert mask.sum() < 0.45 * covered(BOX, values.shape).sum()
    np.testing.assert_array_equal(values, before)


def test_on_a_restless_background_the_whole_box_goes():
    values, _ = written(noise=150)
    np.testing.assert_array_equal(tightened(values, BOX, WIDE, NONE), WIDE)


def test_an_even_box_and_one_that_fills_the_image_stay_whole():
    flat = np.full((120, 380), 7)
    np.testing.assert_array_equal(tightened(flat, BOX, BOX, NONE), BOX)
    values, _ = written(0)
    every = np.array([[0, 0, 380, 120]])
    np.testing.assert_array_equal(tightened(values, every, every, NONE), every)


def test_upright_lines_too():
    values, ink = written(5)
    boxes = tightened(values.T, BOX[:, [1, 0, 3, 2]], BOX[:, [1, 0, 3, 2]], NONE)
    mask = covered(boxes, values.T.shape)
    assert mask[ink.T].all()
    assert mask.sum() < 0.45 * covered(BOX, values.shape).sum()


def test_another_line_beside_it_is_no_background():
    values, ink = written(3)
    values[88:98, 20:320:6] += 900  # strokes just below
    alone = tightened(values, BOX, WIDE, np.array([[20, 84, 300, 20]]))
    assert covered(alone, values.shape)[ink].all()
    assert covered(alone, values.shape).sum() < 0.45 * covered(BOX, values.shape).sum()


def test_no_box_is_no_box():
    assert tightened(np.zeros((9, 9)), NONE, NONE, NONE).shape == (0, 4)
