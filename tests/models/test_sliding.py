import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from scipy import ndimage

from radvit.errors import ConfigError
from radvit.models.sliding import slide, window_loss, window_targets
from radvit.models.windows import Blend, WindowSpec, blend_weights, decode_windows, heat_map, holds, peak_boxes

SPEC = WindowSpec(16, 8)


def brightness(cut):
    """(n, 1, S, S) to (n, 2)."""
    mean = cut.mean((1, 2, 3))
    return torch.stack([mean, -mean], 1)


@pytest.mark.parametrize("size", [16, 40, 45])
def test_the_map_is_the_one_that_monai_blends(size):
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    scores = slide(images, SPEC, brightness)
    if size == SPEC.size:
        assert scores.shape == (2, 2, 1, 1)

    def spread(cut):
        return brightness(cut)[:, :, None, None].expand(-1, -1, SPEC.size, SPEC.size).contiguous()

    theirs = sliding_window_inference(images, SPEC.size, 4, spread, overlap=0.5)
    mine = heat_map(scores.numpy(), size, SPEC)
    np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-6)


def test_windows_cover_every_pixel_and_end_with_the_image():
    assert SPEC.starts(45) == [0, 8, 16, 24, 29]
    assert SPEC.starts(16) == [0]
    for blend in Blend:
        weights = blend_weights(45, WindowSpec(16, 8, blend))
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    with pytest.raises(ConfigError, match=r"model\.window\.size=16 on an image of 12 px"):
        SPEC.starts(12)
    with pytest.raises(ConfigError, match="stride from 1 to the size"):
        WindowSpec(16, 17)


def test_a_gaussian_trusts_the_middle_of_a_window_more():
    plain, smooth = (blend_weights(45, WindowSpec(16, 8, blend)) for blend in (Blend.MEAN, Blend.GAUSSIAN))
    at = 16  # middle of the second window, begin of the third
    assert plain[at, 1] == pytest.approx(plain[at, 2])
    assert smooth[at, 1] > 10 * smooth[at, 2]


def test_a_window_holds_a_lesion_by_its_centre_or_by_its_share():
    boxes = np.array([[10, 10, 20, 20]], np.float32)  # centre 15, 15
    corners = np.array([[0, 0], [15, 15], [16, 0], [12, 4]])
    assert holds(boxes, corners, SPEC).tolist() == [[True, True, False, True]]
    assert holds(boxes, corners, WindowSpec(16, 8, share=0.3)).tolist() == [[True, False, False, True]]


def test_targets_say_which_windows_hold_which_class():
    boxes, labels = [torch.tensor([[2.0, 2, 6, 6]]), torch.zeros(0, 4)], [torch.tensor([1]), torch.zeros(0).long()]
    targets = window_targets(boxes, labels, 32, 2, SPEC)
    assert targets.shape == (2, 2, 3, 3)
    assert targets[0, 1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert targets.sum() == 1


def test_the_loss_is_least_for_the_right_answer():
    targets = np.zeros((1, 1, 3, 3), np.float32)
    targets[0, 0, 1, 1] = 1
    right = torch.from_numpy(np.where(targets > 0, 6.0, -6.0).astype(np.float32))
    assert window_loss(right, targets) < 0.01
    assert window_loss(-right, targets) > 5


def test_boxes_lie_where_the_scores_are_high():
    logits = torch.full((1, 1, 5, 5), -8.0)
    logits[0, 0, 1, 3] = 3.0
    (boxes,), scores = decode_windows(logits, 48, SPEC)
    assert len(boxes) == 1
    x1, y1, x2, y2 = boxes.xyxy[0]
    assert 24 <= x1 < x2 <= 40  # the window from 24 to 40, of which the middle has no neighbours
    assert 8 <= y1 < y2 <= 24
    assert scores[0, 0] == pytest.approx(1 / (1 + np.exp(-3.0)))
    (none,), _ = decode_windows(torch.full((1, 1, 5, 5), -8.0), 48, SPEC)
    assert len(none) == 0


def test_a_map_sampled_every_few_pixels_is_the_map_at_their_middles():
    scores = np.random.default_rng(0).random((2, 5, 5)).astype(np.float32)
    for blend in Blend:
        spec = WindowSpec(16, 8, blend)
        whole, few = heat_map(scores, 45, spec), heat_map(scores, 45, spec, 4)
        assert few.shape == (2, 11, 11)
        np.testing.assert_allclose(few, whole[:, 2:44:4, 2:44:4], atol=1e-6)


def slow_peaks(values, reach, edge, least):
    """Scores and bounding boxes of the definition, a value at a time; for maps without two equal values."""
    found = []
    for row, column in np.ndindex(values.shape):
        top, left = max(row - reach, 0), max(column - reach, 0)
        around = values[top : row + reach + 1, left : column + reach + 1]
        score = values[row, column]
        if score < around.max() or score < least:
            continue
        inside, waiting = set(), [(row, column)]
        while waiting:
            y, x = waiting.pop()
            near = top <= y < top + around.shape[0] and left <= x < left + around.shape[1]
            if not near or (y, x) in inside or values[y, x] < edge * score:
                continue
            inside.add((y, x))
            waiting += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        ys, xs = zip(*inside, strict=True)
        found.append((score, (min(xs), min(ys), max(xs) + 1, max(ys) + 1)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_box_is_what_hangs_together_around_a_peak(seed):
    values = ndimage.gaussian_filter(np.random.default_rng(seed).random((40, 32)), 2.0).astype(np.float32)
    spec = WindowSpec(12, 6, threshold=0.45, edge=0.9)
    boxes = peak_boxes(values[None], spec, 2)
    expected = slow_peaks(values, 3, 0.9, 0.45)
    assert len(boxes) == len(expected) > 2
    np.testing.assert_allclose(boxes.scores, [score for score, _ in expected])
    np.testing.assert_array_equal(boxes.xyxy, 2 * np.array([box for _, box in expected], np.float32))


def test_lesions_nearby_stay_apart_on_a_ground_that_is_never_sure():
    """As of a classifier taught on as many windows with a lesion as without: 0.3 wherever there is none."""
    logits = torch.full((1, 2, 15, 15), -0.85)
    logits[0, 1, 4:6, 4:6] = 2.0
    logits[0, 1, 4:6, 8:10] = 1.5
    (boxes,), _ = decode_windows(logits, 128, SPEC)
    of_second = boxes.xyxy[boxes.labels == 1]
    np.testing.assert_allclose((of_second[:2, :2] + of_second[:2, 2:]) / 2, [[44, 44], [76, 44]])
    assert (boxes.labels == 0).sum() == 1  # a flat map is one peak


def test_no_more_boxes_than_asked_for_and_the_best_ones():
    values = np.random.default_rng(0).random((1, 60, 60)).astype(np.float32)
    many, few = (peak_boxes(values, WindowSpec(8, 4, most=most), 2) for most in (500, 5))
    assert len(few) == 5 < len(many)
    np.testing.assert_array_equal(few.scores, many.scores[:5])
