"""overlay.png: the radiograph with its numbered findings drawn on it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from radvit.inference.results import Picture
from radvit.records import Basis, Geometry
from radvit.report.build import Band, ReportFinding

BGR = {Band.HIGH: (60, 60, 235), Band.MODERATE: (40, 150, 250), Band.LOW: (60, 215, 250)}
INK = {Band.HIGH: (255, 255, 255), Band.MODERATE: (0, 0, 0), Band.LOW: (0, 0, 0)}
FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALLEST_PICTURE_PX = 512
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]
# a third larger than the default, eight times as fast: no filter is sought line by line
JPEG_QUALITY = 88

Canvas = npt.NDArray[np.uint8]


def draw(picture: Picture, geometry: Geometry, findings: Sequence[ReportFinding]) -> Canvas:
    """Draw boxes, each with its number and confidence, in the colour of its band; dashed where they are only where a
    classifier looked.

    picture: (rows, columns) uint8, the whole image reduced. Returns a new (rows, columns, 3) uint8, BGR; a picture
    smaller than 512 pixels is enlarged first so that the marks can be read.
    """
    grown = -(-SMALLEST_PICTURE_PX // max(picture.shape))
    large = cv2.resize(picture, None, fx=grown, fy=grown, interpolation=cv2.INTER_CUBIC) if grown > 1 else picture
    canvas: Canvas = cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)
    scale = np.array([canvas.shape[1] / geometry.columns, canvas.shape[0] / geometry.rows] * 2)
    for item in reversed(findings):  # the most suspicious is drawn last, on top
        if item.finding.box_px is not None:
            corners = np.rint(np.asarray(item.finding.box_px) * scale).astype(int)
            _mark(canvas, tuple(corners.tolist()), item)
    return canvas


def png(canvas: Canvas) -> bytes:
    """A canvas as a PNG file."""
    return bytes(cv2.imencode(".png", canvas, PNG)[1])


def jpeg(canvas: Canvas) -> bytes:
    """A canvas as a JPEG file, for embedding."""
    return bytes(cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])


def decoded(file: bytes) -> Canvas:
    """A PNG file as a canvas."""
    return np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _mark(canvas: Canvas, corners: tuple[int, ...], item: ReportFinding) -> None:
    """Draw one box and its tag onto the canvas. corners: x1, y1, x2, y2 in canvas pixels."""
    unit = max(canvas.shape[:2]) / 1024
    line = max(2, round(3 * unit))
    x1, y1, x2, y2 = corners
    if item.finding.basis is Basis.ATTENTION:
        _dashed(canvas, corners, BGR[item.band], line)
    else:
        cv2.rectangle(canvas, (x1 - line, y1 - line), (x2 + line, y2 + line), (0, 0, 0), 1)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), BGR[item.band], line)
    text, size = f"{item.number}  {item.finding.score:.2f}", 0.8 * max(unit, 0.7)
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    pad = round(0.4 * height)
    left = min(max(x1 - line, 0), max(canvas.shape[1] - width - 2 * pad, 0))
    top = y1 - 2 * line - height - below - 2 * pad
    top = top if top >= 0 else min(y2 + 2 * line, max(canvas.shape[0] - height - below - 2 * pad, 0))
    foot = top + height + below + 2 * pad
    cv2.rectangle(canvas, (left, top), (left + width + 2 * pad, foot), BGR[item.band], cv2.FILLED)
    cv2.putText(canvas, text, (left + pad, top + pad + height), FONT, size, INK[item.band], 1, cv2.LINE_AA)


def _dashed(canvas: Canvas, corners: tuple[int, ...], colour: tuple[int, int, int], line: int) -> None:
    """Draw a dashed rectangle onto the canvas."""
    x1, y1, x2, y2 = corners
    dash = 4 * line
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        a, b = np.array(start, float), np.array(end, float)
        length = float(np.abs(b - a).max())
        for at in np.arange(0, length, 2 * dash):
            ends = [tuple(np.rint(a + (b - a) * min(to / length, 1)).astype(int).tolist()) for to in (at, at + dash)]
            cv2.line(canvas, ends[0], ends[1], (0, 0, 0), line + 2)
            cv2.line(canvas, ends[0], ends[1], colour, line)
