import numpy as np
import pytest
import torch

from radvit.models.decode_mask import MaskSpec, component_boxes, probabilities

SPEC = MaskSpec(faintest=0.1, edge=0.5)


def blank(classes: int = 1) -> np.ndarray:
    return np.zeros((classes, 20, 24), np.float32)


def test_a_part_becomes_the_box_around_its_pixels_with_its_best_probability() -> None:
    chance = blank()
    chance[0, 3:8, 5:11] = 0.6
    chance[0, 4, 6] = 0.9
    found = component_boxes(chance, SPEC)
    np.testing.assert_array_equal(found.xyxy, [[5, 3, 11, 8]])
    np.testing.assert_allclose(found.scores, [0.9])
    assert found.labels.tolist() == [0]


def test_a_faint_rim_is_left_out_of_the_box_but_keeps_parts_together() -> None:
    chance = blank()
    chance[0, 2:12, 2:12] = 0.2
    chance[0, 4:8, 5:9] = 0.8
    np.testing.assert_array_equal(component_boxes(chance, SPEC).xyxy, [[5, 4, 9, 8]])


def test_a_faint_part_has_a_box_of_its_own_size() -> None:
    chance = blank()
    chance[0, 2:12, 2:12] = 0.15
    found = component_boxes(chance, SPEC)
    np.testing.assert_array_equal(found.xyxy, [[2, 2, 12, 12]])
    np.testing.assert_allclose(found.scores, [0.15])


def test_parts_and_classes_stand_apart_and_the_best_comes_first() -> None:
    chance = blank(2)
    chance[0, 1:3, 1:3], chance[0, 10:14, 10:15], chance[1, 11:13, 11:13] = 0.3, 0.7, 0.5
    found = component_boxes(chance, SPEC)
    np.testing.assert_array_equal(found.xyxy, [[10, 10, 15, 14], [11, 11, 13, 13], [1, 1, 3, 3]])
    assert found.labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.scores, [0.7, 0.5, 0.3])
    assert len(component_boxes(chance, MaskSpec(most=2))) == 2


def test_pixels_that_touch_by_a_corner_hang_together() -> None:
    chance = blank()
    chance[0, 5, 5] = chance[0, 6, 6] = 0.9
    np.testing.assert_array_equal(component_boxes(chance, SPEC).xyxy, [[5, 5, 7, 7]])


@pytest.mark.parametrize("level", [0.0, 0.05])
def test_nothing_above_the_faintest_gives_no_box(level: float) -> None:
    assert component_boxes(blank() + np.float32(level), SPEC).xyxy.shape == (0, 4)


def test_probabilities_stand_at_the_inputs_resolution() -> None:
    logits = torch.full((2, 3, 4, 5), -4.0)
    logits[1, 2, 1, 3] = 6.0
    chance = probabilities(logits, 4)
    assert chance.shape == (2, 3, 16, 20)
    assert np.unravel_index(chance.argmax(), chance.shape)[:2] == (1, 2)
    y, x = np.nonzero(chance[1, 2] > 0.5)
    assert (y.min() + y.max() + 1) / 2 == pytest.approx(6)  # the middle of cell (1, 3)
    assert (x.min() + x.max() + 1) / 2 == pytest.approx(14)
