"""Masks of up to eight classes in one byte a pixel, bit k for class k: reduced to the model's grid."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

MOST_CLASSES = 8
HALF = 0.5 - 1e-5  # areas are summed in float32, so that an exact half may come out a little less


def bits(mask: Mask) -> list[int]:
    """The classes that lie anywhere in a mask, in order."""
    found = int(np.bitwise_or.reduce(mask, axis=None)) if mask.size else 0
    return [k for k in range(MOST_CLASSES) if found >> k & 1]


def occupied(
    plane: Flags, share: npt.NDArray[np.float32], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> Flags:
    """Which cells of a grid a class occupies: those of which it covers at least half.

    A lesion, that is what touches by sides or corners, none of whose pixels falls into such a cell, gets the cell that
    most of its pixels fall into, the first of equals; so none vanishes, however small.
    plane: (rows, columns) bool. share: (S, S), how much of each cell is covered. rows, columns: the cell that the
    centre of each row and column falls into. Returns (S, S).
    """
    kept = share >= HALF
    _, lesion = cv2.connectedComponents(plane.astype(np.uint8), connectivity=8)
    at = np.nonzero(plane)
    number, cell = lesion[at], rows[at[0]] * kept.shape[1] + columns[at[1]]
    seen = np.bincount(number, weights=kept.ravel()[cell], minlength=1)
    lost = seen[number] == 0
    pairs, count = np.unique(np.stack([number[lost], cell[lost]]), axis=1, return_counts=True)  # (2, pairs)
    order = np.lexsort((pairs[1], -count, pairs[0]))
    _, first = np.unique(pairs[0, order], return_index=True)
    kept.ravel()[pairs[1, order][first]] = True
    return kept
