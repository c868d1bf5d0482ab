"""Overwrite text that is burned into the pixels, but for the words that may stay.

Three things tell where it is: bands in which makers are known to write (`vendor_regions`), strokes that look like
letters (`strokes`), and a detector of text (`ocr`). Where the detector is asked, what is found is read, and stays if
every word of it is on a list (`allowed_words`). An image that ought to hold text, and in which nothing was found, is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from pydicom import Dataset

from radvit.deid.header_words import word_of
from radvit.deid.rects import Rects, distinct
from radvit.deid.screening import captured_as, is_flagged
from radvit.deid.strokes import find_text
from radvit.deid.text_lines import judge_text
from radvit.deid.vendor_regions import known_regions
from radvit.dicom.pixels import Coding, StoredArray
from radvit.errors import QuarantineError

Box = tuple[int, int, int, int]  # left, top, width, height, pixels

_RING_PX = 12


class Mode(Enum):
    """Which images are searched for burned-in text."""

    SUSPECT = "those whose header does not say BurnedInAnnotation NO"
    FLAGGED = "those whose header says BurnedInAnnotation YES"
    ALWAYS = "every image"
    OFF = "none"


class Depth(Enum):
    """How an image is searched."""

    QUICK = "by its strokes, at the lightest and the darkest values; unread, all that is found goes"
    THOROUGH = "by its strokes and by a detector of text of any look; it is read, and harmless words stay"


@dataclass(frozen=True, slots=True)
class BurnedIn:
    """mode: which images are searched. depth: how.

    allow_none: accept an image that ought to hold text, and in which none was found: one whose header says so, and,
    where `captures`, also secondary captures, ultrasound and screenshots. These are then searched whatever the header
    says, unless the mode is OFF.
    """

    mode: Mode = Mode.SUSPECT
    depth: Depth = Depth.QUICK
    allow_none: bool = False
    captures: bool = False


# For files that are passed on: what the look of its strokes doesn't show is found too, and what is likely to hold
# identity doesn't get through unseen.
FOR_RELEASE = BurnedIn(Mode.ALWAYS, Depth.THOROUGH, captures=True)


@dataclass(frozen=True, slots=True, eq=False)
class Blanked:
    """pixels: (frames, rows, columns), the same array where nothing was overwritten. regions: of each frame, what was.

    kept: lines of text that stay. searched: whether the image was searched at all.
    """

    pixels: StoredArray
    regions: tuple[tuple[Box, ...], ...]
    kept: int = 0
    searched: bool = False

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of regions overwritten in each frame."""
        return tuple(len(boxes) for boxes in self.regions)


def blank_burned_in(
    stored: StoredArray, source: Dataset, option: BurnedIn, forbidden: frozenset[str] = frozenset()
) -> Blanked:
    """Overwrite burned-in text with the median of its surroundings, in all frames wherever it stands in one.

    stored: (frames, rows, columns), as decoded; never changed. source: the original header, before scrubbing, with the
    attributes that the pixels are coded by. forbidden: words of the patient's identity, in capitals; none of them
    stays.
    Raises QuarantineError where text was expected and nothing was found to overwrite, DeidError where the models that
    read text can't be loaded.
    """
    captured = captured_as(source, stored) if option.captures else ""
    if not _is_searched(source, option.mode, captured):
        return Blanked(stored, ((),) * len(stored))
    coding = Coding.of(source)
    if option.depth is Depth.THOROUGH:
        text, kept = judge_text(stored, coding, forbidden)
    else:
        text, kept = np.concatenate([find_text(frame, coding) for frame in stored]), 0
    rects = distinct(np.concatenate([known_regions(source), text]), stored.shape[1:])
    if not len(rects):
        _refuse(source, captured, option)
        return Blanked(stored, ((),) * len(stored), kept, searched=True)
    pixels = stored.copy()
    for frame in pixels:
        overwrite(frame, rects, coding)
    boxes = tuple((int(x), int(y), int(w), int(h)) for x, y, w, h in rects)
    return Blanked(pixels, (boxes,) * len(stored), kept, searched=True)


def _is_searched(source: Dataset, mode: Mode, captured: str) -> bool:
    if mode is Mode.OFF:
        return False
    told = word_of(source, "BurnedInAnnotation").upper()
    wanted = {Mode.ALWAYS: True, Mode.FLAGGED: told == "YES", Mode.SUSPECT: told != "NO"}
    return bool(captured) or wanted[mode]


def _refuse(source: Dataset, captured: str, option: BurnedIn) -> None:
    """Raise QuarantineError where nothing was found in an image that ought to hold text."""
    if option.allow_none:
        return
    if is_flagged(source):
        message = "the header says BurnedInAnnotation YES, and no text was found to blank; check the image"
        raise QuarantineError("burned-in", message)
    if captured:
        a = "an ultrasound" if captured == "ultrasound" else f"a {captured}"
        raise QuarantineError(captured, f"{a} often holds identity, and no text was found to blank; check the image")


def overwrite(frame: StoredArray, rects: Rects, coding: Coding) -> None:
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
