"""Algebra on upright rectangles of whole pixels: (N, 4) int64, left, top, width, height."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Rects = npt.NDArray[np.int64]
Quads = npt.NDArray[np.float32]  # (N, 4, 2): x, y of the corners, around

NONE: Rects = np.zeros((0, 4), np.int64)
SAME = 0.5  # of the smaller one: what overlaps by more is one region
EQUAL = 0.7  # of both together: what overlaps by more is the same region, seen twice


def hull(rects: Rects) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what holds all the rectangles, of which there is at least one."""
    ends = rects[:, :2] + rects[:, 2:]
    return int(rects[:, 0].min()), int(rects[:, 1].min()), int(ends[:, 0].max()), int(ends[:, 1].max())


def clipped(rects: Rects, shape: tuple[int, ...]) -> Rects:
    """The rectangles cut off at the image's border; those outside of it are left out. shape: (rows, columns)."""
    size = np.array(shape[::-1])
    start = np.clip(rects[:, :2], 0, size)
    inside = np.concatenate([start, np.clip(rects[:, :2] + rects[:, 2:], 0, size) - start], axis=1)
    return np.asarray(inside[(inside[:, 2:] > 0).all(axis=1)], np.int64)


def merged(rects: Rects, shape: tuple[int, ...]) -> Rects:
    """The rectangles cut off at the image's border, and one around those that overlap by half. Returns (N, 4)."""
    return _joined(clipped(rects, shape), overlap, SAME)


def distinct(rects: Rects, shape: tuple[int, ...]) -> Rects:
    """The rectangles cut off at the image's border, without those within another, and one around those nearly equal."""
    rects = np.unique(clipped(rects, shape), axis=0)
    left, top, right, bottom = (side[:, None] for side in (*rects[:, :2].T, *(rects[:, :2] + rects[:, 2:]).T))
    within = (left >= left.T) & (top >= top.T) & (right <= right.T) & (bottom <= bottom.T)
    return _joined(rects[within.sum(axis=1) == 1], _likeness, EQUAL)


def _joined(rects: Rects, measure: Callable[[Rects, Rects], float], least: float) -> Rects:
    found: list[Rects] = []
    for rect in rects:
        same = [i for i, other in enumerate(found) if measure(rect, other) > least]
        left, top, right, bottom = hull(np.stack([rect, *(found[i] for i in same)]))
        found = [other for i, other in enumerate(found) if i not in same]
        found.append(np.array([left, top, right - left, bottom - top]))
    return np.array(found, np.int64).reshape(-1, 4)


def overlap(a: Rects, b: Rects) -> float:
    """The common area of two rectangles, each (4,), over the smaller one's."""
    return _common(a, b) / max(min(int(np.prod(a[2:])), int(np.prod(b[2:]))), 1)


def _likeness(a: Rects, b: Rects) -> float:
    """The common area of two rectangles over that of both together."""
    common = _common(a, b)
    return common / max(int(np.prod(a[2:])) + int(np.prod(b[2:])) - common, 1)


def _common(a: Rects, b: Rects) -> float:
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))


def outside(rects: Rects, shape: tuple[int, ...]) -> Rects:
    """What of an image lies in none of the rectangles, as rectangles that touch but don't overlap."""
    rects = clipped(rects, shape)
    rows, columns = shape
    ys = np.unique([0, rows, *rects[:, 1], *(rects[:, 1] + rects[:, 3])])
    free: list[tuple[int, int, int, int]] = []
    for top, bottom in zip(ys[:-1].tolist(), ys[1:].tolist(), strict=True):
        here = rects[(rects[:, 1] <= top) & (rects[:, 1] + rects[:, 3] >= bottom)]
        left = 0
        for start, end in sorted((int(r[0]), int(r[0] + r[2])) for r in here):
            if start > left:
                free.append((left, top, start - left, bottom - top))
            left = max(left, end)
        if left < columns:
            free.append((left, top, columns - left, bottom - top))
    return np.array(free, np.int64).reshape(-1, 4)


def quads_of(rects: Rects) -> Quads:
    """The corners of rectangles, from the upper left one, clockwise."""
    left, top = rects[:, 0], rects[:, 1]
    right, bottom = left + rects[:, 2], top + rects[:, 3]
    corners = [np.stack(xy, axis=1) for xy in ((left, top), (right, top), (right, bottom), (left, bottom))]
    return np.stack(corners, axis=1).astype(np.float32)


def around(points: Quads) -> Rects:
    """The rectangle around points, (..., 2), that they touch at most. Returns (4,)."""
    flat = points.reshape(-1, 2)
    low, high = np.floor(flat.min(axis=0)), np.ceil(flat.max(axis=0))
    return np.concatenate([low, high - low]).astype(np.int64)
