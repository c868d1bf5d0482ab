"""Find lines of text by their look, without reading a letter: what `radvit.deid.ocr` then reads.

Annotations are drawn at the lightest or darkest value of the image, in thin strokes, as rows of marks of one height.
That is what is looked for. A single mark, such as the side marker L, is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from radvit.deid.rects import NONE, Rects, hull, merged
from radvit.deid.runs import Components, Runs
from radvit.dicom.pixels import Coding, StoredArray

_Mask = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]  # (rows, columns)

# Shares of the value range, from the extreme: soft edges of drawn strokes lie within the second and clearly drawn ones
# within the fourth; what lies around a stroke must lie outside the first and the third.
_LEVELS = (0.25, 0.15, 0.03, 0.004)
_INK, _SOFT = 4, 2  # how many of the levels a stroke lies within: one clearly drawn, one with its soft edges
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

_FAR_BOX, _NEXT_BOX = np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8), np.ones((3, 3), np.uint8)


def find_text(frame: StoredArray, coding: Coding) -> Rects:
    """Lines of text in a frame. frame: (rows, columns), as stored. Returns (N, 4): left, top, width, height, pixels."""
    values, low, high = values_of(frame, coding)
    if low == high:
        return NONE
    reaches = [_reach(level, high - low) for level in _LEVELS]
    dark = _End(values, tuple(low + reach for reach in reaches), light=False)
    light = _End(values, tuple(high - reach for reach in reaches), light=True)
    return merged(np.concatenate([_lines(dark), _lines(light)]), frame.shape)


def values_of(frame: StoredArray, coding: Coding) -> tuple[StoredArray, int, int]:
    """What the codes of a frame stand for, as integers of their size, and the least and the largest of them.

    The values are the frame itself where it holds nothing else.
    """
    codes: StoredArray = frame.view(f"{'i' if coding.signed else 'u'}{frame.itemsize}")
    least, largest = coding.bounds
    low, high = int(codes.min()), int(codes.max())
    if not coding.shift and least <= low and high <= largest:
        return codes, low, high
    unused = 8 * frame.itemsize - coding.stored
    values = (codes << (unused - coding.shift)) >> unused  # drops the unused bits and extends the sign
    return values, int(values.min()), int(values.max())


def _reach(level: float, span: int) -> int:
    """The largest whole distance from an extreme that is within a level's share of the range."""
    reach = int(level * span)
    reach += (reach + 1) / span <= level
    return reach - (reach / span > level)


@dataclass(frozen=True, slots=True)
class _End:
    """One end of the value range. values: (rows, columns). bounds: for each of the levels, the last value within it."""

    values: StoredArray
    bounds: tuple[int, ...]
    light: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        rows, columns = self.values.shape
        return rows, columns

    def within(self, level: int, window: slice | tuple[slice, slice] = slice(None)) -> _Flags:
        """Which pixels, of the image or of a window of it, lie within at least the first `level` levels."""
        values, bound = self.values[window], self.bounds[level - 1]
        return np.asarray(values >= bound if self.light else values <= bound)


def _lines(end: _End) -> Rects:
    """Lines of text at one end of the value range. Returns (N, 4), with margin, not yet clipped."""
    ink, soft = (Components.of(Runs.of(end.shape, partial(end.within, level))) for level in (_INK, _SOFT))
    found = [_strokes(end, _INK, ink, ink.runs), _strokes(end, _SOFT, soft, ink.runs)]
    parts = np.concatenate([parts for parts, _ in found])
    lines: list[tuple[int, int, int, int]] = []
    for _, marks in found:
        groups = (_alike(marks[group]) for group in _neighbours(marks))
        lines.extend(_whole_line(group, parts) for group in groups if len(group) >= _LEAST_MARKS)
    return np.array(lines, np.int64).reshape(-1, 4)


def _strokes(end: _End, level: int, components: Components, ink: Runs) -> tuple[Rects, Rects]:
    """What a level holds of the size of letters, with sharp edges and a core of ink. Two of (N, 4): all, the thin ones.

    components: of the pixels within the level. ink: the runs of those at the extreme value.
    """
    rects = components.rects
    core = components.areas_of(ink) >= _CORE * components.areas
    sized = np.flatnonzero(_of_text_size(rects, max(end.shape)) & core)
    if not len(sized):
        return rects[:0], rects[:0]
    labels = components.painted(sized)
    drawn: list[int] = []
    thin: list[int] = []
    for number in sized.tolist():
        window = _around(rects[number])
        mark = (labels[window] == number + 1).view(np.uint8)
        if _is_drawn(mark, end.within(level - 1, window)):
            drawn.append(number)
            thin += [number] if _is_thin(mark, int(rects[number, 3])) else []
    return rects[drawn], rects[thin]


def _whole_line(marks: Rects, parts: Rects) -> tuple[int, int, int, int]:
    """The rectangle around a line's marks and around whatever else stands in the line, bold letters too."""
    height = float(np.median(marks[:, 3]))
    high = parts[(parts[:, 3] >= _PART * height) & (parts[:, 3] <= _SIMILAR * height)]
    members = marks
    while True:
        left, top, right, bottom = hull(members)
        middle = high[:, 1] + high[:, 3] / 2
        near = (middle >= top) & (middle <= bottom)
        near &= (high[:, 0] <= right + _GAP * height) & (high[:, 0] + high[:, 2] >= left - _GAP * height)
        grown = np.concatenate([marks, high[near]])
        if hull(grown) == (left, top, right, bottom):
            break
        members = grown
    beside, above = (int(np.ceil(share * height)) for share in _MARGIN)
    return left - beside, top - above, right - left + 2 * beside, bottom - top + 2 * above


def _of_text_size(rects: Rects, side: int) -> npt.NDArray[np.bool_]:
    """Which components are neither specks nor larger than text. side: the image's longer one, pixels."""
    width, height = rects[:, 2], rects[:, 3]
    fits = (height >= max(_LEAST_HEIGHT_PX, _HEIGHT[0] * side)) & (height <= _HEIGHT[1] * side)
    return np.asarray(fits & (width <= _WIDEST * height))


def _around(rect: npt.NDArray[np.int64]) -> tuple[slice, slice]:
    """The window of a mark and what decides whether it is drawn."""
    left, top, width, height = (int(v) for v in rect)
    rows = slice(max(top - _EDGE_PX, 0), top + height + _EDGE_PX)
    return rows, slice(max(left - _EDGE_PX, 0), left + width + _EDGE_PX)


def _is_drawn(mark: _Mask, near: _Flags) -> bool:
    """Whether a mark ends sharply, as ink does; an island of over-exposure fades into its surroundings.

    mark, near: one window: the mark, and what hardly differs from it.
    """
    around = cv2.dilate(mark, _FAR_BOX) - cv2.dilate(mark, _NEXT_BOX)
    ring = np.count_nonzero(around)
    return bool(ring and np.count_nonzero(around & near) / ring < _FAINT_SHARE)


def _is_thin(mark: _Mask, height: int) -> bool:
    inner = cv2.distanceTransform(cv2.copyMakeBorder(mark, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    return bool(2 * inner.max() - 1 <= max(_STROKE * height, 3))


def _neighbours(marks: Rects) -> list[npt.NDArray[np.int64]]:
    """Indices of marks that stand side by side: each is widened by its reach, and what touches belongs together."""
    if not len(marks):
        return []
    left, top, width, height = marks.T
    reach, core = (_GAP * height / 2).astype(np.int64), height // 4
    columns, rows = (left - reach, left + width + reach), (top + core, np.maximum(top + height - core, top + core + 1))
    (x0, x1), (y0, y1) = _ranked(*columns), _ranked(*rows)
    canvas = np.zeros((y1.max(), x1.max()), np.uint8)
    for i in range(len(marks)):
        canvas[y0[i] : y1[i], x0[i] : x1[i]] = 1
    _, labels = cv2.connectedComponents(canvas, connectivity=8)
    of_mark = labels[y0, x0]
    return [np.flatnonzero(of_mark == label) for label in np.unique(of_mark)]


def _ranked(*ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers replaced by their ranks: what touches still does, and what is apart stays so, on a far smaller canvas."""
    _, ranks = np.unique(np.stack(ends), return_inverse=True)
    return np.asarray(ranks.reshape(2, -1))


def _alike(rects: Rects) -> Rects:
    """The marks of a group whose height is near the group's median."""
    ratio = rects[:, 3] / np.median(rects[:, 3])
    return rects[(ratio <= _SIMILAR) & (ratio >= 1 / _SIMILAR)]
