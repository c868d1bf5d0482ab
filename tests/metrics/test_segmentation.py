import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from radvit.errors import DataError
from radvit.metrics.segmentation import Overlap, bits, dice, joined, overlap, pooled_dice


@pytest.fixture
def masks():
    """Found and true masks, (9, 2, 12, 10); class 1 is missing in some of the images and found in none of others."""
    rng = np.random.default_rng(0)
    true = rng.random((9, 2, 12, 10)) < 0.3
    true[2:5, 1] = False
    found = true ^ (rng.random(true.shape) < 0.15)
    found[7, 1] = False
    return found, true


def slow_dice(found, true):
    """One image, one class, pixel by pixel."""
    both = size = 0
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            both += found[row, column] and true[row, column]
            size += int(found[row, column]) + int(true[row, column])
    return 2 * both / size


def test_dice_equals_a_slow_loop_over_images_that_show_the_class(masks):
    found, true = masks
    counts, ones = overlap(found, true), np.ones((1, 9))
    for k in range(2):
        each = [slow_dice(found[i, k], true[i, k]) for i in range(9) if true[i, k].any()]
        assert dice(counts, k, ones)[0] == pytest.approx(np.mean(each))
        assert pooled_dice(counts, k, ones)[0] == pytest.approx(
            slow_dice(found[:, k].reshape(9, -1), true[:, k].reshape(9, -1))
        )
    assert len([i for i in range(9) if true[i, 1].any()]) == 6


def test_dice_equals_monais(masks):
    found, true = (torch.from_numpy(m.astype(np.float32)) for m in masks)
    theirs = compute_dice(found, true, include_background=True, ignore_empty=True).nanmean(0)
    ours = [dice(overlap(*masks), k, np.ones((1, 9)))[0] for k in range(2)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_weights_count_images_as_often_as_they_say(masks):
    counts = overlap(*masks)
    weights = np.array([[2, 0, 1, 0, 0, 1, 0, 0, 3.0]])
    again = np.repeat(np.arange(9), weights[0].astype(int))
    repeated = overlap(masks[0][again], masks[1][again])
    for measure in (dice, pooled_dice):
        for k in range(2):
            assert measure(counts, k, weights)[0] == pytest.approx(measure(repeated, k, np.ones((1, 7)))[0])


@pytest.mark.filterwarnings("error")
def test_a_class_that_no_image_shows_has_no_dice(masks):
    found, true = masks
    counts = overlap(found[2:5], true[2:5])
    assert np.isnan(dice(counts, 1, np.ones((2, 3)))).all()
    assert pooled_dice(counts, 1, np.ones((1, 3)))[0] == 0  # all that was found is wrong
    empty = overlap(found[:0], true[:0])
    assert np.isnan(dice(empty, 0, np.ones((1, 0)))).all()
    nothing = overlap(np.zeros((1, 1, 4, 4), bool), np.zeros((1, 1, 4, 4), bool))
    assert np.isnan(pooled_dice(nothing, 0, np.ones((1, 1)))).all()


def test_batches_are_joined_in_their_order(masks):
    found, true = masks
    parts = joined([overlap(found[:4], true[:4]), overlap(found[4:], true[4:])])
    whole = overlap(found, true)
    for name in ("found", "true", "both"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_bits_are_layers():
    stored = np.array([[[0, 1], [2, 3]]], np.uint8)
    np.testing.assert_array_equal(bits(stored, 2), [[[[0, 1], [0, 1]], [[0, 0], [1, 1]]]])
    assert bits(stored, 3).shape == (1, 3, 2, 2)


def test_shapes_that_differ_are_refused(masks):
    found, true = masks
    with pytest.raises(DataError, match=r"found masks \(9, 2, 12, 10\) and true masks \(8, 2, 12, 10\)"):
        overlap(found, true[:8])
    with pytest.raises(DataError, match=r"expected \(N, K\)"):
        Overlap(np.zeros((2, 1), np.int64), np.zeros((2, 2), np.int64), np.zeros((2, 1), np.int64))
