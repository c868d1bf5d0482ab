import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from radvit.errors import ConfigError
from radvit.models.sliding import (
    Blend,
    WindowSpec,
    blend_weights,
    decode_windows,
    heat_map,
    holds,
    slide,
    window_loss,
    window_targets,
)

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
