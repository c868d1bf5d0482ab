"""overlay.png: the radiograph with its numbered findings drawn on it.

The picture is drawn in a palette, so that a pixel is one byte: half the file and a third of the time of three channels.
Twelve of the greys stand for the colours of marks; what had one of them is drawn one grey brighter.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from radvit.inference.results import Picture
from radvit.records import Basis, Geometry
from radvit.report.build import Band, ReportFinding

BGR = {Band.HIGH: (60, 60, 235), Band.MODERATE: (40, 150, 250), Band.LOW: (60, 215, 250)}
INK = {Band.HIGH: 255, Band.MODERATE: 0, Band.LOW: 0}  # greys
STEPS = 4  # from a band's colour to the grey of its ink, which letters are smoothed with
FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALLEST_PICTURE_PX = 512
PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY),  # noise repeats nothing: not worth a search
)
JPEG_QUALITY = 88

Canvas = npt.NDArray[np.uint8]

_TAKEN = {band: tuple(10 + 21 * (STEPS * place + step) for step in range(STEPS)) for place, band in enumerate(BGR)}


def _palette() -> Canvas:
    """The colour, BGR, that each of 256 values stands for, (256, 3)."""
    colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    for band, values in _TAKEN.items():
        for step, value in enumerate(values):
            share = step / STEPS
            colours[value] = np.rint((1 - share) * np.array(BGR[band]) + share * INK[band])
    return colours


PALETTE = _palette()


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A picture with marks. values: (rows, columns) uint8, of the palette. marked: False where all of them are grey."""

    values: Canvas
    marked: bool

    def bgr(self) -> Canvas:
        """The picture as (rows, columns, 3) uint8."""
        return PALETTE[self.values] if self.marked else cv2.cvtColor(self.values, cv2.COLOR_GRAY2BGR)

    def png(self) -> bytes:
        """The picture as a PNG file, with a palette where it has marks (ISO/IEC 15948, 11.2)."""
        file = cv2.imencode(".png", self.values, PNG)[1].tobytes()
        if not self.marked:
            return file
        header = file[16:25] + b"\3" + file[26:29]  # IHDR's, with the colour type "indexed"
        return file[:8] + _chunk(b"IHDR", header) + _chunk(b"PLTE", PALETTE[:, ::-1].tobytes()) + file[33:]


def _chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def draw(picture: Picture, geometry: Geometry, findings: Sequence[ReportFinding]) -> Drawing:
    """Draw boxes, each with its number and confidence, in the colour of its band; dashed where they are only where a
    classifier looked.

    picture: (rows, columns) uint8, the whole image reduced. A picture smaller than 512 pixels is enlarged first so that
    the marks can be read. Without a box to draw its greys are kept as they are.
    """
    grown = enlarged(picture)
    boxed = [item for item in findings if item.finding.box_px is not None]
    if not boxed:
        return Drawing(grown, marked=False)
    canvas = cv2.LUT(grown, _GREYS)
    scale = np.array([canvas.shape[1] / geometry.columns, canvas.shape[0] / geometry.rows] * 2)
    for item in reversed(boxed):  # the most suspicious is drawn last, on top
        corners = np.rint(np.asarray(item.finding.box_px) * scale).astype(int)
        _mark(canvas, tuple(corners.tolist()), item)
    return Drawing(canvas, marked=True)


def enlarged(picture: Picture) -> Canvas:
    """A picture so large that marks on it can be read, (rows, columns) uint8; a copy."""
    grown = -(-SMALLEST_PICTURE_PX // max(picture.shape))
    if grown == 1:
        return picture.copy()
    return np.asarray(cv2.resize(picture, None, fx=grown, fy=grown, interpolation=cv2.INTER_CUBIC), np.uint8)


def _free_greys() -> Canvas:
    """What each grey is drawn as, (256,) uint8: itself, or the next one where a mark's colour has its place."""
    greys = np.arange(256, dtype=np.uint8)
    taken = [value for values in _TAKEN.values() for value in values]
    greys[taken] += 1
    return greys


_GREYS = _free_greys()


def jpeg(canvas: Canvas) -> bytes:
    """Greys, (rows, columns), or BGR, (rows, columns, 3), as a JPEG file, for embedding."""
    return bytes(cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])


def decoded(file: bytes) -> Canvas:
    """A PNG file as BGR, (rows, columns, 3) uint8."""
    return np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _mark(canvas: Canvas, corners: tuple[int, ...], item: ReportFinding) -> None:
    """Draw one box and its tag onto the canvas. corners: x1, y1, x2, y2 in canvas pixels."""
    unit = max(canvas.shape) / 1024
    line, colour = max(2, round(3 * unit)), _TAKEN[item.band][0]
    x1, y1, x2, y2 = corners
    if item.finding.basis is Basis.ATTENTION:
        _dashed(canvas, corners, colour, line)
    else:
        cv2.rectangle(canvas, (x1 - line, y1 - line), (x2 + line, y2 + line), 0, 1)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line)
    tag = _tag(f"{item.number}  {item.finding.score:.2f}", item.band, 0.8 * max(unit, 0.7))
    height, width = (min(n, whole) for n, whole in zip(tag.shape, canvas.shape, strict=True))
    left = min(max(x1 - line, 0), canvas.shape[1] - width)
    top = y1 - 2 * line - height
    top = top if top >= 0 else min(y2 + 2 * line, canvas.shape[0] - height)
    canvas[top : top + height, left : left + width] = tag[:height, :width]


def _tag(text: str, band: Band, size: float) -> Canvas:
    """Words on the colour of a band, (rows, columns) of the palette."""
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    pad = round(0.4 * height)
    ink = np.zeros((height + below + 2 * pad + 1, width + 2 * pad + 1), np.uint8)
    cv2.putText(ink, text, (pad, pad + height), FONT, size, 255, 1, cv2.LINE_AA)
    ramp = np.array([*_TAKEN[band], INK[band]], np.uint8)
    return ramp[np.rint(ink * (STEPS / 255)).astype(np.intp)]


def _dashed(canvas: Canvas, corners: tuple[int, ...], colour: int, line: int) -> None:
    """Draw a dashed rectangle onto the canvas."""
    x1, y1, x2, y2 = corners
    dash = 4 * line
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        a, b = np.array(start, float), np.array(end, float)
        length = float(np.abs(b - a).max())
        for at in np.arange(0, length, 2 * dash):
            ends = [tuple(np.rint(a + (b - a) * min(to / length, 1)).astype(int).tolist()) for to in (at, at + dash)]
            cv2.line(canvas, ends[0], ends[1], 0, line + 2)
            cv2.line(canvas, ends[0], ends[1], colour, line)
