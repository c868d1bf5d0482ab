"""Lines of text in an image: found by their strokes and by the detector, then read, and kept or given up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.deid.allowed_words import is_allowed
from radvit.deid.ocr import flattened, ocr
from radvit.deid.rects import NONE, SAME, Quads, Rects, around, clipped, distinct, merged, overlap, quads_of
from radvit.deid.strokes import find_text, values_of
from radvit.deid.tight import tightened
from radvit.dicom.pixels import Coding, StoredArray

_UPRIGHT = 1.4  # area of the rectangle around a line over the line's own, up to which it isn't tilted
_CHUNK = 8  # frames whose lightest and whose darkest values are looked at together
_NO_QUADS: Quads = np.zeros((0, 4, 2), np.float32)

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. corners: (4, 2), where to read it. rects: (N, 4), which hold it; several where it is tilted."""

    corners: Quads
    rects: Rects


@dataclass(slots=True)
class _Verdicts:
    """What is decided of the lines of one file. forbidden: words, in capitals, that never stay. Grows with `judge`."""

    forbidden: frozenset[str]
    blanked: Rects = field(default_factory=lambda: NONE)
    kept: Rects = field(default_factory=lambda: NONE)

    def judge(self, values: Values, lines: list[Line]) -> None:
        """Read the lines of one image, and keep each or have it blanked; one that holds what is blanked isn't read."""
        given_up = []
        for line in lines:
            if not self._holds_blanked(line) and self._stays(values, line):
                self.kept = merged(np.concatenate([self.kept, around(line.corners)[None]]), values.shape)
            else:
                given_up.append(line.rects)
        rects = np.concatenate([NONE, *given_up])
        taken = np.concatenate([NONE, *(line.rects for line in lines)])
        self.blanked = np.concatenate([self.blanked, tightened(values, rects, taken)])

    def _holds_blanked(self, line: Line) -> bool:
        return any(overlap(rect, other) > SAME for rect in line.rects for other in self.blanked)

    def _stays(self, values: Values, line: Line) -> bool:
        reading = ocr().read(values, line.corners)
        return reading.sure and is_allowed(reading.text, self.forbidden)


def judge_text(stored: StoredArray, coding: Coding, forbidden: frozenset[str], whole: bool) -> tuple[Rects, int]:
    """Where text stands that may not stay, in any of the frames, (N, 4), and how many lines may stay.

    stored: (frames, rows, columns). forbidden: words, in capitals, that never stay. whole: whether the detector looks at
    the whole image, too. Strokes are looked for in every frame; of several, the detector sees the lightest and the
    darkest values of some at a time, in which a text of any of them shows.
    """
    verdicts = _Verdicts(forbidden)
    for values, rects, quads in _looks(stored, coding, whole):
        verdicts.judge(values, _lines(rects, quads, values.shape))
    kept = [rect for rect in verdicts.kept if all(overlap(rect, other) <= SAME for other in verdicts.blanked)]
    return distinct(verdicts.blanked, stored.shape[1:]), len(kept)


def _looks(stored: StoredArray, coding: Coding, whole: bool) -> Iterator[tuple[Values, Rects, Quads]]:
    """Values of an image, (rows, columns), and what the two ways of looking find in it."""
    single = len(stored) == 1
    for frame in stored:
        values, _, _ = values_of(frame, coding)
        yield values, find_text(frame, coding), ocr().detect(flattened(values)) if whole and single else _NO_QUADS
    if whole and not single:
        for first in range(0, len(stored), _CHUNK):
            values, _, _ = values_of(stored[first : first + _CHUNK], coding)
            for ends in (values.max(axis=0), values.min(axis=0)):
                yield ends, NONE, ocr().detect(flattened(ends))


def _lines(rects: Rects, quads: Quads, shape: tuple[int, ...]) -> list[Line]:
    """The lines of one image, those that are upright joined where they overlap."""
    upright = [_is_upright(quad) for quad in quads]
    boxes = [around(quad) for quad, straight in zip(quads, upright, strict=True) if straight]
    together = merged(np.concatenate([rects, np.array(boxes, np.int64).reshape(-1, 4)]), shape)
    lines = [Line(quad, rect[None]) for quad, rect in zip(quads_of(together), together, strict=True)]
    tilted = [quad for quad, straight in zip(quads, upright, strict=True) if not straight]
    return lines + [Line(quad, rects) for quad in tilted if len(rects := clipped(_pieces(quad), shape))]


def _is_upright(quad: Quads) -> bool:
    own = np.linalg.norm(quad[1] - quad[0]) * np.linalg.norm(quad[2] - quad[1])
    return bool(np.prod(around(quad)[2:]) <= _UPRIGHT * own)


def _pieces(quad: Quads) -> Rects:
    """Rectangles that hold a tilted line and little else: one around each of the pieces that it is cut into."""
    first = int(np.linalg.norm(quad[1] - quad[0]) < np.linalg.norm(quad[2] - quad[1]))
    a, b, c, d = np.roll(quad, -first, axis=0)  # a to b is the long side
    height = max(float(np.linalg.norm(c - b)), 1.0)
    count = int(np.ceil(np.linalg.norm(b - a) / height))
    shares = np.linspace(0, 1, count + 1, dtype=np.float32)[:, None]
    upper, lower = a + shares * (b - a), d + shares * (c - d)
    return np.array([around(np.stack([*upper[i : i + 2], *lower[i : i + 2]])) for i in range(count)], np.int64)
