"""Overwrite text that is burned into the pixels.

Annotations are drawn at the lightest or darkest value of the image, in thin strokes, as rows of marks of one height.
That is what is looked for; no letters are read. A single mark, such as the side marker L, is left in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radvit.dicom.pixels import Coding, StoredArray
from radvit.errors import DeidError

_Mask = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]  # (rows, columns)
_Rects = npt.NDArray[np.int64]  # (N, 4): left, top, width, height, pixels

# Shares of the value range, from the extreme: soft edges of drawn strokes lie within the second and clearly drawn ones
# within the fourth; what lies around a stroke must lie outside the first and the third.
_LEVELS = (0.25, 0.15, 0.03, 0.004)
_CORE = 0.2  # least share of a stroke that is at the extreme
_FAINT_SHARE = 0.4  # most of the surroundings that may be so near
_EDGE_PX = 3
_HEIGHT = (0.004, 0.08)  # of a mark, as a share of the image's longer side
_LEAST_HEIGHT_PX = 6
_WIDEST = 4.0  # width of a mark over its height: some letters touch
_STROKE = 0.4  # thickest stroke over the height of a mark
_LEAST_MARKS = 3
_SIMILAR = 1.7  # largest ratio of heights within a line
_PART = 0.4  # least height of what else belongs to a line, over the line's height
_GAP = 1.2  # reach of a mark to either side, over its height
_MARGIN = (0.4, 0.15)  # border blanked to the sides of a line, and above and below it, over its height
_RING_PX = 12


class Mode(Enum):
    """Which images are searched for burned-in text."""

    SUSPECT = "those whose header does not say BurnedInAnnotation NO"
    FLAGGED = "those whose header says BurnedInAnnotation YES"
    ALWAYS = "every image"
    OFF = "none"


@dataclass(frozen=True, slots=True)
class BurnedIn:
    """mode: which images are searched. allow_none: accept a flagged image in which no text was found."""

    mode: Mode = Mode.SUSPECT
    allow_none: bool = False


def blank_burned_in(stored: StoredArray, dataset: Dataset, option: BurnedIn) -> tuple[StoredArray, tuple[int, ...]]:
    """Overwrite burned-in text of each frame with the median of its surroundings.

    stored: (frames, rows, columns), as decoded; never changed. Returns the pixels (the same array where nothing was
    found) and the number of regions overwritten in each frame.
    Raises DeidError where the header says that there is text, and none was found.
    """
    flagged = dataset.get("BurnedInAnnotation") == "YES"
    none = (0,) * len(stored)
    if not _is_searched(dataset, option.mode):
        return stored, none
    coding = Coding.of(dataset)
    regions = [find_text(frame, coding) for frame in stored]
    if not any(len(rects) for rects in regions):
        if flagged and not option.allow_none:
            raise DeidError("the header says BurnedInAnnotation YES, and no text was found to blank; check the image")
        return stored, none
    blanked = stored.copy()
    for frame, rects in zip(blanked, regions, strict=True):
        _overwrite(frame, rects, coding)
    return blanked, tuple(len(rects) for rects in regions)


def _is_searched(dataset: Dataset, mode: Mode) -> bool:
    told = str(dataset.get("BurnedInAnnotation"))
    return {Mode.ALWAYS: True, Mode.OFF: False, Mode.FLAGGED: told == "YES", Mode.SUSPECT: told != "NO"}[mode]


def find_text(frame: StoredArray, coding: Coding) -> _Rects:
    """Lines of text in a frame. frame: (rows, columns), as stored. Returns (N, 4): left, top, width, height, pixels."""
    values, _ = coding.counts(frame)
    low, high = values[0], values[-1]
    if low == high:
        return np.zeros((0, 4), np.int64)

    def nearness(values: npt.NDArray[np.float64]) -> _Mask:
        """How many of the levels a value lies within: low half byte for the dark end, high for the light one."""
        dark, light = ((distance / (high - low)) for distance in (values - low, high - values))
        counts = [sum((end <= level).astype(np.uint8) for level in _LEVELS) for end in (dark, light)]
        return np.asarray(counts[0] + 16 * counts[1], np.uint8)

    kinds = coding.classify(frame, nearness)
    return _merged(np.concatenate([_lines(kinds & np.uint8(15)), _lines(kinds >> np.uint8(4))]), frame.shape)


def _lines(kinds: _Mask) -> _Rects:
    """Lines of text at one end of the value range.

    kinds: (rows, columns), how many of the levels each pixel lies within. Returns (N, 4), with margin, not yet clipped.
    """
    ink = kinds >= 4
    found = [_strokes(ink, kinds >= 3, ink), _strokes(kinds >= 2, kinds >= 1, ink)]
    parts = np.concatenate([parts for parts, _ in found])
    lines: list[tuple[int, int, int, int]] = []
    for _, marks in found:
        groups = (_alike(marks[group]) for group in _neighbours(marks, kinds.shape))
        lines.extend(_whole_line(group, parts) for group in groups if len(group) >= _LEAST_MARKS)
    return np.array(lines, np.int64).reshape(-1, 4)


def _strokes(mask: _Flags, near: _Flags, ink: _Flags) -> tuple[_Rects, _Rects]:
    """What a mask holds of the size of letters, with sharp edges and a core of ink. Two of (N, 4): all, the thin ones.

    near: what hardly differs from the mask; ink: what is at the extreme value. All (rows, columns).
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    core = np.bincount(labels[ink], minlength=count) >= _CORE * stats[:, cv2.CC_STAT_AREA]
    sized = np.flatnonzero(_of_text_size(stats, max(mask.shape)) & core)
    drawn = [int(i) for i in sized if _is_drawn(labels, int(i), stats[i], near)]
    thin = [i for i in drawn if _is_thin(labels, i, stats[i])]
    return stats[drawn, :4].astype(np.int64), stats[thin, :4].astype(np.int64)


def _whole_line(marks: _Rects, parts: _Rects) -> tuple[int, int, int, int]:
    """The rectangle around a line's marks and around whatever else stands in the line, bold letters too."""
    height = float(np.median(marks[:, 3]))
    high = parts[(parts[:, 3] >= _PART * height) & (parts[:, 3] <= _SIMILAR * height)]
    members = marks
    while True:
        left, top, right, bottom = _hull(members)
        middle = high[:, 1] + high[:, 3] / 2
        near = (middle >= top) & (middle <= bottom)
        near &= (high[:, 0] <= right + _GAP * height) & (high[:, 0] + high[:, 2] >= left - _GAP * height)
        grown = np.concatenate([marks, high[near]])
        if _hull(grown) == (left, top, right, bottom):
            break
        members = grown
    beside, above = (int(np.ceil(share * height)) for share in _MARGIN)
    return left - beside, top - above, right - left + 2 * beside, bottom - top + 2 * above


def _hull(rects: _Rects) -> tuple[int, int, int, int]:
    ends = rects[:, :2] + rects[:, 2:]
    return int(rects[:, 0].min()), int(rects[:, 1].min()), int(ends[:, 0].max()), int(ends[:, 1].max())


def _of_text_size(stats: npt.NDArray[np.int32], side: int) -> npt.NDArray[np.bool_]:
    """Which components are neither specks nor larger than text. side: the image's longer one, pixels."""
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    fits = (height >= max(_LEAST_HEIGHT_PX, _HEIGHT[0] * side)) & (height <= _HEIGHT[1] * side)
    fits &= width <= _WIDEST * height
    fits[0] = False  # the background
    return np.asarray(fits)


def _is_drawn(labels: npt.NDArray[np.int32], label: int, stat: npt.NDArray[np.int32], near: _Flags) -> bool:
    """Whether a mark ends sharply, as ink does; an island of over-exposure fades into its surroundings."""
    left, top, width, height = stat[:4]
    rows = slice(max(top - _EDGE_PX, 0), top + height + _EDGE_PX)
    columns = slice(max(left - _EDGE_PX, 0), left + width + _EDGE_PX)
    mark = (labels[rows, columns] == label).astype(np.uint8)
    around = cv2.dilate(mark, np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)) - cv2.dilate(mark, np.ones((3, 3), np.uint8))
    ring = near[rows, columns][around.astype(bool)]
    return bool(ring.size and ring.mean() < _FAINT_SHARE)


def _is_thin(labels: npt.NDArray[np.int32], label: int, stat: npt.NDArray[np.int32]) -> bool:
    left, top, width, height = stat[:4]
    mark = (labels[top : top + height, left : left + width] == label).astype(np.uint8)
    inner = cv2.distanceTransform(cv2.copyMakeBorder(mark, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    return bool(2 * inner.max() - 1 <= max(_STROKE * height, 3))


def _neighbours(marks: _Rects, shape: tuple[int, ...]) -> list[npt.NDArray[np.int64]]:
    """Indices of marks that stand side by side: each is widened by its reach, and what touches belongs together."""
    canvas = np.zeros(shape, np.uint8)
    for left, top, width, height in marks:
        reach, core = int(_GAP * height / 2), height // 4
        rows = slice(top + core, max(top + height - core, top + core + 1))
        canvas[rows, max(left - reach, 0) : left + width + reach] = 1
    _, labels = cv2.connectedComponents(canvas, connectivity=8)
    of_mark = labels[marks[:, 1] + marks[:, 3] // 2, marks[:, 0] + marks[:, 2] // 2]
    return [np.flatnonzero(of_mark == label) for label in np.unique(of_mark)]


def _alike(rects: _Rects) -> _Rects:
    """The marks of a group whose height is near the group's median."""
    ratio = rects[:, 3] / np.median(rects[:, 3])
    return rects[(ratio <= _SIMILAR) & (ratio >= 1 / _SIMILAR)]


def _merged(rects: _Rects, shape: tuple[int, ...]) -> _Rects:
    """The rectangles cut off at the image's border, and one around those that overlap by half. Returns (N, 4)."""
    start = np.maximum(rects[:, :2], 0)
    rects = np.concatenate([start, np.minimum(rects[:, :2] + rects[:, 2:], np.array(shape[::-1])) - start], axis=1)
    merged: list[_Rects] = []
    for rect in rects:
        same = [i for i, other in enumerate(merged) if _overlap(rect, other) > 0.5]
        left, top, right, bottom = _hull(np.stack([rect, *(merged[i] for i in same)]))
        merged = [other for i, other in enumerate(merged) if i not in same]
        merged.append(np.array([left, top, right - left, bottom - top]))
    return np.array(merged, np.int64).reshape(-1, 4)


def _overlap(a: _Rects, b: _Rects) -> float:
    """The common area of two rectangles over the smaller one's."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)) / max(min(np.prod(a[2:]), np.prod(b[2:])), 1))


def _overwrite(frame: StoredArray, rects: _Rects, coding: Coding) -> None:
    """Fill each rectangle with the median of the ring around it that lies in no other rectangle. Changes the frame."""
    free = np.ones(frame.shape, bool)
    for left, top, width, height in rects:
        free[top : top + height, left : left + width] = False
    for left, top, width, height in rects:
        rows = slice(max(top - _RING_PX, 0), top + height + _RING_PX)
        columns = slice(max(left - _RING_PX, 0), left + width + _RING_PX)
        ring = coding.values(frame[rows, columns][free[rows, columns]])
        level = int(np.median(ring)) if ring.size else 0
        frame[top : top + height, left : left + width] = level << coding.shift
