"""The part of a radiograph that isn't empty: borders that a collimator or a shutter left black or white are found.

Careful above all: a border is only what is at the black or at the white end of the grey scale all along the image's
edge, with not one pixel of anything else in it, and what ends within 40 % of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from radvit.records import FloatArray

NEAR = 0.02  # of the grey scale: so far from black or white may a border's pixels be
MOST = 0.4  # of a side: what is at one end of the scale for longer is no border
MARGIN = 0.005  # of a side: so much of a border stays
AT_ONCE = 64  # lines looked at together

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Field:
    """Rows `top` to `bottom` and columns `left` to `right` of an image, ends not included, in whole pixels."""

    top: int
    left: int
    bottom: int
    right: int

    @staticmethod
    def whole(shape: tuple[int, ...]) -> Field:
        """All of an image of (rows, columns)."""
        return Field(0, 0, shape[0], shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def cut(self, image: npt.NDArray[T]) -> npt.NDArray[T]:
        """The field's part of an image: a view, not a copy."""
        return image[self.top : self.bottom, self.left : self.right]


def find_field(pixels: FloatArray) -> Field:
    """The image without its empty borders; all of it where there are none. pixels: (rows, columns) in [0, 1].

    Columns are looked at between the rows that aren't empty, so that borders may differ in colour.
    """
    rows, columns = pixels.shape
    top, bottom = _borders(pixels)
    left, right = _borders(pixels[top : rows - bottom].T)
    return Field(_cut(top, rows), _cut(left, columns), rows - _cut(bottom, rows), columns - _cut(right, columns))


def _cut(border: int, count: int) -> int:
    """How many lines of a border to leave out. count: lines of the image."""
    return max(0, border - math.ceil(MARGIN * count))


def _borders(lines: npt.NDArray[Any]) -> tuple[int, int]:
    """How many lines are a border at the start and at the end. lines: (lines, pixels)."""
    most = int(MOST * len(lines))
    found = _empty_lines(lines[: most + 1]), _empty_lines(lines[::-1][: most + 1])
    first, last = (0 if n > most else n for n in found)
    return first, last


def _empty_lines(lines: npt.NDArray[Any]) -> int:
    """How many lines, from the first on, are at the end of the grey scale that the first one is at."""
    if not lines.size:
        return 0
    black, white = bool(lines[0].max() <= NEAR), bool(lines[0].min() >= 1 - NEAR)
    if not (black or white):
        return 0
    for start in range(0, len(lines), AT_ONCE):
        some = lines[start : start + AT_ONCE]
        empty = some.max(1) <= NEAR if black else some.min(1) >= 1 - NEAR
        if not empty.all():
            return start + int(empty.argmin())
    return len(lines)
