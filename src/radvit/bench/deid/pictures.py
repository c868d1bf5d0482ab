"""Pictures of noise and soft shapes, with text burned in that must go and markers that must stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from radvit.bench.deid.answer import Category
from radvit.bench.deid.kinds import Kind
from radvit.bench.deid.people import Rng, Subject, Visit, da, date_forms, pick

Box = tuple[int, int, int, int]  # left, top, right, bottom, pixels
Stored = npt.NDArray[np.unsignedinteger]
MARKERS = ("L", "R", "PORTABLE", "SUPINE", "ERECT")


@dataclass(frozen=True, slots=True)
class Line:
    """Words drawn into a picture: where, and the box of each letter."""

    text: str
    category: Category
    box: Box
    glyphs: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """stored: (rows, columns), or frames first, or with three colours last. lines: must go. markers: must stay."""

    stored: Stored
    lines: tuple[Line, ...] = ()
    markers: tuple[Line, ...] = ()
    dark: bool = False


def draw_picture(rng: Rng, kind: Kind, texts: Sequence[tuple[str, Category]], marker: str) -> Picture:
    """A picture with these lines at its top left, and a marker below them on the right where one is given."""
    low, high = kind.sides_px
    rows, columns = (int(side) for side in rng.integers(low, high, 2))
    plane = _plane(rng, rows, columns)
    dark = kind.modality in ("CR", "DX") and bool(rng.random() < 0.3)
    lines = _draw_lines(rng, plane, texts, dark)
    markers = _draw_marker(rng, plane, marker, dark) if marker else ()
    return Picture(_stored(plane, kind), lines, markers, dark)


def identity_lines(rng: Rng, subject: Subject, visit: Visit) -> list[tuple[str, Category]]:
    """What a console burns in, two to four lines of it."""
    named = f"{subject.family.upper()} {subject.given.upper()}"
    lines = [
        (pick(rng, (named, f"{subject.family.upper()}, {subject.given.upper()}")), Category.DIRECT),
        (f"{pick(rng, ('ID', 'MRN', 'PID'))} {subject.id}", Category.DIRECT),
        (f"DOB {pick(rng, date_forms(subject.birth)[:5])}", Category.DIRECT),
        (pick(rng, (subject.institution.name, f"{da(visit.date)} {visit.time}")), Category.INDIRECT),
    ]
    return lines[: int(rng.integers(2, 5))]


def _plane(rng: Rng, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Soft shapes between 0.15 and 0.75 of full scale, with grain. (rows, columns) float32."""
    coarse = rng.random((5, 5), np.float32)
    plane = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    centre, axes = (columns // 2, rows // 2), (columns // 3, rows // 3)
    body = np.zeros_like(plane)
    cv2.ellipse(body, centre, axes, 0, 0, 360, 1.0, -1)
    body = cv2.GaussianBlur(body, (0, 0), max(rows, columns) / 30)
    plane = 0.2 + 0.15 * plane + 0.3 * body + 0.01 * rng.standard_normal(plane.shape, np.float32)
    return np.asarray(np.clip(plane, 0.1, 0.8), np.float32)


def _draw_lines(
    rng: Rng, plane: npt.NDArray[np.float32], texts: Sequence[tuple[str, Category]], dark: bool
) -> tuple[Line, ...]:
    if not texts:
        return ()
    columns = plane.shape[1]
    widest = max(len(text) for text, _ in texts)
    size = int(np.clip(0.9 * columns / (0.62 * widest), 13, rng.integers(16, 30)))
    hairline = bool(rng.random() < 0.4)
    top, lines = int(rng.integers(6, 14)), []
    for text, category in texts:
        drawn = _hershey(plane, text, (8, top), size, dark) if hairline else _typeset(plane, text, (8, top), size, dark)
        if drawn is not None:
            lines.append(Line(text, category, *drawn))
        top += round(1.5 * size)
    return tuple(lines)


def _draw_marker(rng: Rng, plane: npt.NDArray[np.float32], marker: str, dark: bool) -> tuple[Line, ...]:
    rows, columns = plane.shape
    size = int(rng.integers(20, 34))
    left = columns - round(size * (0.8 * len(marker) + 0.8))
    drawn = _typeset(plane, marker, (left, round(rows * 0.8)), size, dark)
    return () if drawn is None else (Line(marker, Category.NONE, *drawn),)


def _typeset(
    plane: npt.NDArray[np.float32], text: str, at: tuple[int, int], size: int, dark: bool
) -> tuple[Box, tuple[Box, ...]] | None:
    """Draw in the proportional typeface that comes with Pillow, with soft edges."""
    font = ImageFont.load_default(size)
    image = Image.new("L", plane.shape[::-1])
    pen = ImageDraw.Draw(image)
    glyphs, left = [], float(at[0])
    for letter in text:
        before = left
        pen.text((left, at[1]), letter, fill=255, font=font)
        left += font.getlength(letter)
        if letter != " ":
            glyphs.append((before, left))
    return _inked(plane, np.asarray(image, np.float32) / np.float32(255), glyphs, dark)


def _hershey(
    plane: npt.NDArray[np.float32], text: str, at: tuple[int, int], size: int, dark: bool
) -> tuple[Box, tuple[Box, ...]] | None:
    """Draw in the hairlines of an old console, with hard edges."""
    face, scale = cv2.FONT_HERSHEY_SIMPLEX, size / 30
    mask = np.zeros(plane.shape, np.uint8)
    glyphs, left, baseline = [], at[0], at[1] + size
    for letter in text:
        (width, _), _ = cv2.getTextSize(letter, face, scale, 1)
        cv2.putText(mask, letter, (left, baseline), face, scale, 255, 1, cv2.LINE_8)
        if letter != " ":
            glyphs.append((float(left), float(left + width)))
        left += width
    return _inked(plane, mask.astype(np.float32) / np.float32(255), glyphs, dark)


def _inked(
    plane: npt.NDArray[np.float32], ink: npt.NDArray[np.float32], glyphs: Sequence[tuple[float, float]], dark: bool
) -> tuple[Box, tuple[Box, ...]] | None:
    """Blend the ink into the plane, in place. Returns the box of all and of each letter, None where nothing fits."""
    if not ink.any():
        return None
    plane *= 1 - ink
    plane += ink * (0.0 if dark else 1.0)
    boxes = [box for left, right in glyphs if (box := _box_of(ink, round(left), round(right) + 1)) is not None]
    whole = _box_of(ink, 0, ink.shape[1])
    return None if whole is None else (whole, tuple(boxes))


def _box_of(ink: npt.NDArray[np.float32], left: int, right: int) -> Box | None:
    rows, columns = np.nonzero(ink[:, left:right] > 0.3)
    if not len(rows):
        return None
    return left + int(columns.min()), int(rows.min()), left + int(columns.max()) + 1, int(rows.max()) + 1


def _stored(plane: npt.NDArray[np.float32], kind: Kind) -> Stored:
    """The plane in the stored form of its kind: grey of its bits, colour of 8, or several frames."""
    if kind.colour:
        grey = np.round(255 * plane).astype(np.uint8)
        colour = np.stack([grey] * 3, axis=-1)
        rows, columns = grey.shape
        patch = (slice(rows // 2, rows * 5 // 8), slice(columns // 2, columns * 5 // 8))
        colour[patch] = (200, 40, 30)  # flow in a Doppler window
        return colour
    grey = np.round((2**kind.bits - 1) * plane).astype(np.uint16)
    return np.stack([grey] * kind.frames) if kind.frames else grey
