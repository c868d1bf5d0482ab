from __future__ import annotations

import numpy as np
import pytest
import torch

from radvit.data.datamodule import planes
from radvit.data.masks import bits, occupied

ROWS = np.array([0, 0, 1, 1], np.intp)


def share(plane: np.ndarray) -> np.ndarray:
    return plane.reshape(2, 2, 2, 2).mean((1, 3)).astype(np.float32)


def test_half_of_a_cell_is_enough_and_less_is_not() -> None:
    plane = np.zeros((4, 4), bool)
    plane[0, :2] = True
    plane[2:, 2:] = plane[2, 1] = True
    assert occupied(plane, share(plane), ROWS, ROWS).tolist() == [[True, False], [False, True]]


def test_a_lesion_below_half_everywhere_keeps_the_cell_with_most_of_it_and_the_first_of_equals() -> None:
    plane = np.zeros((4, 4), bool)
    plane[0, 0] = plane[3, 3] = True
    assert occupied(plane, share(plane), ROWS, ROWS).tolist() == [[True, False], [False, True]]
    plane = np.zeros((4, 4), bool)
    plane[1, 1] = plane[2, 2] = True  # one lesion, touching at a corner, a quarter of two cells
    assert occupied(plane, share(plane), ROWS, ROWS).tolist() == [[True, False], [False, False]]
    cells = np.array([0, 0, 0, 1], np.intp)
    plane = np.zeros((4, 4), bool)
    plane[2:, 1] = True  # one pixel falls into the upper row of cells, one into the lower, and the first counts
    assert occupied(plane, np.zeros((2, 2), np.float32), cells, cells).tolist() == [[True, False], [False, False]]
    plane[1, 1] = False
    plane[3, 0:3] = True
    assert occupied(plane, np.zeros((2, 2), np.float32), cells, cells).tolist() == [[False, False], [True, False]]


def test_nothing_stays_nothing() -> None:
    assert not occupied(np.zeros((4, 4), bool), np.zeros((2, 2), np.float32), ROWS, ROWS).any()
    assert bits(np.zeros((3, 3), np.uint8)) == bits(np.zeros((0, 0), np.uint8)) == []


def test_bits_are_told_and_taken_apart() -> None:
    mask = np.array([[0b1000_0001, 0], [0b10, 0b11]], np.uint8)
    assert bits(mask) == [0, 1, 7]
    apart = planes(torch.from_numpy(mask)[None], 8)
    assert apart.shape == (1, 8, 2, 2)
    assert apart.dtype == torch.float32
    assert apart[0, 0].tolist() == [[1, 0], [0, 1]]
    assert apart[0, 1].tolist() == [[0, 0], [1, 1]]
    assert apart[0, 7].tolist() == [[1, 0], [0, 0]]
    assert not apart[0, 2:7].any()


@pytest.mark.parametrize("classes", [1, 3])
def test_only_as_many_planes_as_there_are_classes(classes: int) -> None:
    assert planes(torch.full((2, 4, 4), 0b111, dtype=torch.uint8), classes).shape == (2, classes, 4, 4)
