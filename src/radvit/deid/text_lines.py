"""Lines of text in an image: found by their strokes and by the detector, then read, and kept or given up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.deid.allowed_words import is_allowed
from radvit.deid.ocr import SQUARE, ocr
from radvit.deid.rects import NONE, SAME, Quads, Rects, around, clipped, distinct, merged, overlap, quads_of
from radvit.deid.strokes import find_text, values_of
from radvit.deid.tight import tightened
from radvit.dicom.pixels import Coding, StoredArray

_UPRIGHT = 1.4  # area of the rectangle around a line over the line's own, up to which it isn't tilted
_CHUNK = 8  # frames whose lightest and whose darkest values are looked at together
_MOST_READ = 500  # lines of a file; those beyond are blanked unread
_NO_QUADS: Quads = np.zeros((0, 4, 2), np.float32)

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. corners: (4, 2), where to read it.

    rects: (N, 4), which hold it; several where it is tilted. wide: (N, 4), the same where more of it may go unseen.
    """

    corners: Quads
    rects: Rects
    wide: Rects


class Verdict(Enum):
    """What becomes of a line."""

    KEPT = "read with certainty, and every word is allowed"
    BLANKED = "another text, or one that can't be read"
    NO_TEXT = "one mark that can't be read: a calcified nodule, an electrode, and nobody's name"


@dataclass(slots=True)
class _Verdicts:
    """What is decided of the lines of one file. forbidden: words, in capitals, that never stay.

    read: how many were. Grows with `judge`.
    """

    forbidden: frozenset[str]
    blanked: Rects = field(default_factory=lambda: NONE)
    kept: Rects = field(default_factory=lambda: NONE)
    read: int = 0

    def judge(self, values: Values, lines: list[Line]) -> None:
        """Read the lines of one image, and keep each or have it blanked; one that holds what is blanked isn't read."""
        given_up: list[Line] = []
        for line in lines:
            verdict = Verdict.BLANKED if self._holds_blanked(line) else self._verdict(values, line)
            if verdict is Verdict.KEPT:
                self.kept = merged(np.concatenate([self.kept, around(line.corners)[None]]), values.shape)
            elif verdict is Verdict.BLANKED:
                given_up.append(line)
        rects = np.concatenate([NONE, *(line.rects for line in given_up)])
        wide = np.concatenate([NONE, *(line.wide for line in given_up)])
        taken = np.concatenate([NONE, *(line.rects for line in lines)])
        self.blanked = np.concatenate([self.blanked, tightened(values, rects, wide, taken)])

    def _holds_blanked(self, line: Line) -> bool:
        return any(overlap(rect, other) > SAME for rect in line.rects for other in self.blanked)

    def _verdict(self, values: Values, line: Line) -> Verdict:
        self.read += 1
        if self.read > _MOST_READ:
            return Verdict.BLANKED
        reading = ocr().read(values, line.corners)
        if reading.sure:
            return Verdict.KEPT if is_allowed(reading.text, self.forbidden) else Verdict.BLANKED
        single = len(reading.text) <= 1 and max(line.rects[0, 2:]) < SQUARE * min(line.rects[0, 2:])
        return Verdict.NO_TEXT if single else Verdict.BLANKED


def judge_text(stored: StoredArray, coding: Coding, forbidden: frozenset[str]) -> tuple[Rects, int]:
    """Where text stands that may not stay, in any of the frames, (N, 4), and how many lines may stay.

    stored: (frames, rows, columns). forbidden: words, in capitals, that never stay. Strokes are looked for in every
    frame; of several, the detector sees the lightest and the darkest values of some at a time, in which a text of any
    of them shows.
    """
    verdicts = _Verdicts(forbidden)
    for values, rects, quads in _looks(stored, coding):
        verdicts.judge(values, _lines(rects, quads, values.shape))
    kept = [rect for rect in verdicts.kept if all(overlap(rect, other) <= SAME for other in verdicts.blanked)]
    return distinct(verdicts.blanked, stored.shape[1:]), len(kept)


def _looks(stored: StoredArray, coding: Coding) -> Iterator[tuple[Values, Rects, Quads]]:
    """Values of an image, (rows, columns), and what the two ways of looking find in it."""
    single = len(stored) == 1
    for frame in stored:
        values, _, _ = values_of(frame, coding)
        yield values, find_text(frame, coding), ocr().detect(values) if single else _NO_QUADS
    if not single:
        for first in range(0, len(stored), _CHUNK):
            values, _, _ = values_of(stored[first : first + _CHUNK], coding)
            for ends in (values.max(axis=0), values.min(axis=0)):
                yield ends, NONE, ocr().detect(ends)


def _lines(rects: Rects, quads: Quads, shape: tuple[int, ...]) -> list[Line]:
    """The lines of one image. rects: those found by strokes. quads: by the detector; those that overlap are joined."""
    upright = [_is_upright(quad) for quad in quads]
    boxes = np.array([around(q) for q, straight in zip(quads, upright, strict=True) if straight], np.int64)
    lines = []
    for rect in merged(np.concatenate([rects, boxes.reshape(-1, 4)]), shape):
        stroked = any(overlap(rect, other) > SAME for other in rects)
        lines.append(Line(quads_of(rect[None])[0], rect[None], (rect if stroked else _stretched(rect))[None]))
    tilted = [quad for quad, straight in zip(quads, upright, strict=True) if not straight]
    return lines + [Line(quad, pieces, pieces) for quad in tilted if len(pieces := clipped(_pieces(quad), shape))]


def _stretched(rect: Rects) -> Rects:
    """A line with as much at both ends as it is high: of faint text the detector misses the ends first."""
    length, height = int(rect[2:].max()), int(rect[2:].min())
    along = np.array([-height, 0, 2 * height, 0]) if rect[2] == length else np.array([0, -height, 0, 2 * height])
    return np.asarray(rect + along)


def _is_upright(quad: Quads) -> bool:
    own = np.linalg.norm(quad[1] - quad[0]) * np.linalg.norm(quad[2] - quad[1])
    return bool(np.prod(around(quad)[2:]) <= _UPRIGHT * own)


def _pieces(quad: Quads) -> Rects:
    """Rectangles that hold a tilted line and little else: one around each of the pieces that it is cut into."""
    first = int(np.linalg.norm(quad[1] - quad[0]) < np.linalg.norm(quad[2] - quad[1]))
    a, b, c, d = np.roll(quad, -first, axis=0)  # a to b is the long side
    height = max(float(np.linalg.norm(c - b)), 1.0)
    end = (b - a) * (height / max(float(np.linalg.norm(b - a)), 1.0))  # as for those that are upright
    a, b, c, d = a - end, b + end, c + end, d - end
    count = int(np.ceil(np.linalg.norm(b - a) / height))
    shares = np.linspace(0, 1, count + 1, dtype=np.float32)[:, None]
    upper, lower = a + shares * (b - a), d + shares * (c - d)
    return np.array([around(np.stack([*upper[i : i + 2], *lower[i : i + 2]])) for i in range(count)], np.int64)
