"""Boxes cut down to the ink that they hold, word by word, so that no more of the image is overwritten than must be.

Ink ends in edges. What is cut off holds none: only where the ink is far clearer than its background's noise, and only
what is as even as the background around the box. On a restless background nothing is cut off.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from radvit.deid.rects import Rects, clipped

_RING_PX = 12
_NEXT = np.ones((3, 3), np.uint8)
_NOISE = 90  # percentile of the ring's edges
_EDGE = 3.0  # an edge is so many times the noise
_LEAST_EDGE = 0.02  # or this share of the window's range of values
_CLEAR = 4.0  # ink is clear where its strongest edges are so many times the least edge
_STRONG = 98  # percentile of the box's edges
_WORD_GAP = 0.3  # of the ink that is taken together, over the line's height
_MARGIN = 0.04  # left around the ink, over the line's height
_LEAST_MARGIN_PX = 2
_LEAST_REACH_PX, _ACROSS_PX = 6, 3


def tightened(values: npt.NDArray[Any], rects: Rects, wide: Rects, taken: Rects) -> Rects:
    """Boxes around the words of each of the boxes. Returns (M, 4), M >= N.

    values: (rows, columns). rects: (N, 4). wide: (N, 4), what to take of a box whose ink isn't clear, and so may reach
    further than was seen. taken: (K, 4), what else holds text, and so is no background.
    """
    free = np.ones(values.shape, np.bool_)
    for left, top, width, height in clipped(np.concatenate([rects, taken]), values.shape):
        free[top : top + height, left : left + width] = False
    words = [word for rect, whole in zip(rects, wide, strict=True) for word in _words(values, rect, whole, free)]
    return clipped(np.array(words, np.int64).reshape(-1, 4), values.shape)


def _words(values: npt.NDArray[Any], rect: Rects, whole: Rects, free: npt.NDArray[np.bool_]) -> list[Rects]:
    """The words of one box; the whole of it where its ink isn't clear."""
    edges = _edges(values, rect, free)
    if edges is None:
        return [whole]
    height = int(rect[2:].min())
    reach = max(round(_WORD_GAP * height), _LEAST_REACH_PX)
    beside, above = (reach, _ACROSS_PX) if rect[2] >= rect[3] else (_ACROSS_PX, reach)
    joined = cv2.morphologyEx(edges.view(np.uint8), cv2.MORPH_CLOSE, np.ones((above, beside), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    margin = max(round(_MARGIN * height), _LEAST_MARGIN_PX)
    grown = np.array([rect[0] - margin, rect[1] - margin, 2 * margin, 2 * margin])
    return list(stats[1:, :4].astype(np.int64) + grown)


def _edges(values: npt.NDArray[Any], rect: Rects, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Where a box holds edges, (height, width); None where they don't stand out from the noise around the box."""
    left, top, width, height = (int(v) for v in rect)
    first_row, first_column = max(top - _RING_PX, 0), max(left - _RING_PX, 0)
    around = slice(first_row, top + height + _RING_PX), slice(first_column, left + width + _RING_PX)
    window = values[around].astype(np.float32)
    steps = cv2.dilate(window, _NEXT) - cv2.erode(window, _NEXT)
    inside = slice(top - first_row, top - first_row + height), slice(left - first_column, left - first_column + width)
    ring = cv2.erode(free[around].view(np.uint8), _NEXT, borderValue=1).view(np.bool_)
    if not ring.any():
        return None
    least = max(_EDGE * float(np.percentile(steps[ring], _NOISE)), _LEAST_EDGE * float(np.ptp(window)))
    own = steps[inside]
    return own > least if np.percentile(own, _STRONG) > _CLEAR * least > 0 else None
