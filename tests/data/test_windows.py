import numpy as np
import pytest
import torch

from radvit.data.windows import WindowDraws, balancing, cut_batch, draw_windows
from radvit.models.windows import WindowSpec, holds

SPEC = WindowSpec(32, 16)
HOW = WindowDraws(SPEC, 4)
BOXES = np.array([[60, 30, 70, 44]], np.float32)


def drawn(boxes, how=HOW, draws=200):
    return np.concatenate([draw_windows(boxes, 128, how, np.random.default_rng(i)) for i in range(draws)])


def test_windows_lie_within_the_image_and_depend_on_the_generator_alone():
    corners = drawn(BOXES)
    assert corners.shape == (800, 2)
    assert 0 <= corners.min() <= corners.max() <= 96
    np.testing.assert_array_equal(corners, drawn(BOXES))
    assert len(np.unique(corners, axis=0)) > 300


@pytest.mark.parametrize("positive", [0.25, 0.5, 0.75])
def test_as_many_hold_a_lesion_as_asked(positive):
    held = holds(BOXES, drawn(BOXES, WindowDraws(SPEC, 4, positive)), SPEC).mean()
    assert held == pytest.approx(positive, abs=0.06)


def test_images_without_a_lesion_are_drawn_from_everywhere():
    corners = drawn(np.zeros((0, 4), np.float32))
    assert abs(corners.mean() - 48) < 4
    assert corners.max() == 96


def test_half_of_all_windows_hold_a_lesion_as_far_as_possible():
    assert balancing(0.8) == pytest.approx(0.625)
    assert balancing(0.2) == 0.75
    assert balancing(0.0) == 0.5


def test_a_batch_of_images_becomes_one_of_windows():
    image = torch.arange(2 * 64 * 64, dtype=torch.float32).view(2, 1, 64, 64)
    batch = {
        "image": image,
        "boxes": [torch.tensor([[10.0, 12, 20, 22]]), torch.zeros(0, 4)],
        "labels": [torch.tensor([0]), torch.zeros(0, dtype=torch.long)],
        "targets": torch.tensor([[1.0], [0.0]]),
        "index": torch.tensor([7, 9]),
        "corners": torch.tensor([[[4, 8], [0, 0]], [[32, 16], [1, 2]]]),
    }
    cut = cut_batch(batch, 32)
    assert cut["image"].shape == (4, 1, 32, 32)
    assert torch.equal(cut["image"][0], image[0, :, 8:40, 4:36])
    assert torch.equal(cut["image"][2], image[1, :, 16:48, 32:64])
    assert cut["boxes"][0].tolist() == [[6, 4, 16, 14]]
    assert [len(one) for one in cut["boxes"]] == [1, 1, 0, 0]
    assert cut["index"].tolist() == [7, 7, 9, 9]
    assert "corners" not in cut
