"""Find and read text with PP-OCR, through ONNX Runtime: two small networks that the package rapidocr ships.

The package's own code isn't run: it can fetch models from the network, and it spreads over threads. Its two files are
opened here, and nothing else. They know Latin letters, digits, Chinese, and Japanese, light on dark and dark on light.

    detector    a map of where text is; upright, upside down, vertical or tilted
    reader      one line of text, scaled to 48 pixels, to characters with a probability each (CTC)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from radvit.deid.rects import Quads
from radvit.errors import DeidError
from radvit.records import FloatArray

_Bytes = npt.NDArray[np.uint8]

DETECTOR, READER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
SURE = 0.8  # least probability of each character of what counts as read

# The detector sees at most so many pixels at a time, at this scale or less; a smaller scale than the least would lose
# small letters, so larger images are looked at in bands.
_PIXELS = 900_000
_LEAST_SCALE = 0.4
_STEP = 32  # sides that the network takes are multiples of it
_BAND_OVERLAP = 64

_IS_TEXT, _BOX_SCORE = 0.3, 0.5  # of a pixel of the map; mean over a region's pixels
_GROWTH = 1.1  # the map shows the core of a line; what it is widened by follows from its area over its outline
_THICKEST, _THICKEST_PX = 0.1, 20  # of a line, over the image's longer side, and in pixels of a small image
_THINNEST = 3.0  # of a region, pixels of the map

_FLAT_PX = 8  # the background is taken from cells of so many pixels
_FLAT_BLURS = (4.0, 1.0)  # blurred over so many of them, at the first look and at the second
_FLAT_SHARE = 0.3  # of the values' range: what differs so much from its background is black or white
_FLAT_ENDS = (1, 99)  # percentiles
_FLAT_LEAST = 0.05  # of the whole range

_READER_ROWS = 48
_COLUMNS = (16, 4000)  # least and most of a line, so scaled; what is longer is no line of text, and isn't read
SQUARE = 1.5  # longer side over the shorter one, up to which a line may be a single letter, of any direction


@dataclass(frozen=True, slots=True)
class Reading:
    """What a line says, and the probability of the least certain of its characters."""

    text: str
    confidence: float

    @property
    def sure(self) -> bool:
        """Whether every character is certain."""
        return self.confidence >= SURE


@dataclass(frozen=True, slots=True)
class Ocr:
    """The two networks. letters: of the reader's classes, the first of which stands for none."""

    detector: Any
    reader: Any
    letters: tuple[str, ...]

    def detect(self, values: npt.NDArray[Any]) -> Quads:
        """Lines of text. values: (rows, columns), any range and type. Returns (N, 4, 2): corners in pixels.

        In some chests without text the network takes the whole ribcage for some. Then it is shown the finest structures
        alone, and what is still too thick for a line is left out.
        """
        found: Quads = np.zeros((0, 4, 2), np.float32)
        if min(values.shape) < _STEP:
            return found
        for blur in _FLAT_BLURS:
            found = self._look(flattened(values, blur))
            thick = _thickness(found) > max(_THICKEST * max(values.shape), _THICKEST_PX)
            if not thick.any():
                break
        return np.asarray(found[~thick], np.float32)

    def _look(self, flat: _Bytes) -> Quads:
        scale = float(np.clip(np.sqrt(_PIXELS / flat.size), _LEAST_SCALE, 1))
        rows, columns = (max(round(side * scale / _STEP), 1) * _STEP for side in flat.shape)
        small = cv2.resize(flat, (columns, rows), interpolation=cv2.INTER_AREA)
        found = _regions(self._map(small))
        return np.asarray(found * np.array([flat.shape[1] / columns, flat.shape[0] / rows]), np.float32)

    def read(self, values: npt.NDArray[Any], quad: Quads) -> Reading:
        """Read one line, in the direction in which it reads best. values: (rows, columns); quad: (4, 2)."""
        best = Reading("", 0.0)
        line = _cut_out(values, quad)
        for turns in _directions(line.shape):
            reading = self._read(np.rot90(line, turns))
            best = max(best, reading, key=lambda one: one.confidence)
            if best.sure:
                break
        return best

    def _map(self, small: _Bytes) -> FloatArray:
        """The detector's probability of text at each pixel, in bands where the image is large."""
        rows, columns = small.shape
        most = max(_PIXELS * 5 // 4 // columns // _STEP, 4) * _STEP  # a little more is quicker than two bands
        total = np.zeros(small.shape, np.float32)
        for top in range(0, max(rows - _BAND_OVERLAP, 1), most - _BAND_OVERLAP):
            band = slice(top, min(top + most, rows))
            np.maximum(total[band], _run(self.detector, small[band].astype(np.float32) / 127.5 - 1)[0], out=total[band])
        return total

    def _read(self, line: FloatArray) -> Reading:
        least, most = _COLUMNS
        columns = max(round(_READER_ROWS * line.shape[1] / line.shape[0]), least)
        if columns > most:
            return Reading("", 0.0)
        scaled = cv2.resize(np.ascontiguousarray(line), (columns, _READER_ROWS), interpolation=cv2.INTER_LINEAR)
        shares = _run(self.reader, scaled)  # (steps, classes)
        best = shares.argmax(axis=1)
        starts = np.flatnonzero((best > 0) & (best != np.concatenate([[0], best[:-1]])))  # repeats are one letter
        if not len(starts):
            return Reading("", 0.0)
        text = "".join(self.letters[int(best[i])] for i in starts)
        return Reading(text, float(shares[starts, best[starts]].min()))


def ocr() -> Ocr:
    """The networks of this process, loaded when first asked for. Raises DeidError where they aren't installed."""
    return _loaded(os.getpid())  # a fork must not go on with its parent's sessions


def flattened(values: npt.NDArray[Any], blur: float = _FLAT_BLURS[0]) -> _Bytes:
    """An image as the detector sees it: what differs from its surroundings, whether those are light or dark.

    values: (rows, columns), any range and type. blur: spread of the surroundings, in cells of 8 pixels. Returns (rows,
    columns) uint8, about 128 where nothing stands out.
    """
    grey = values.astype(np.float32)
    rows, columns = grey.shape
    cells = (max(columns // _FLAT_PX, 1), max(rows // _FLAT_PX, 1))
    coarse = cv2.GaussianBlur(cv2.resize(grey, cells, interpolation=cv2.INTER_AREA), (0, 0), blur)
    grey -= cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)
    sample = values[:: max(rows // 400, 1), :: max(columns // 400, 1)]
    low, high = np.percentile(sample, _FLAT_ENDS)
    span = max(float(high - low), _FLAT_LEAST * (float(values.max()) - float(values.min())), 1.0)
    most = _FLAT_SHARE * span
    return np.asarray(cv2.convertScaleAbs(np.maximum(grey, -most), None, 127.5 / most, 127.5))


@lru_cache(maxsize=1)
def _loaded(process: int) -> Ocr:
    import onnxruntime  # some tenths of a second, which a process that reads no text need not spend

    package = find_spec("rapidocr")
    folder = Path(str(package.origin)).parent / "models" if package else Path()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        detector, reader = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in (DETECTOR, READER)
        )
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no class
        raise DeidError(f"the models that read text can't be loaded from rapidocr: {type(error).__name__}") from None
    letters = reader.get_modelmeta().custom_metadata_map["character"].split("\n")
    return Ocr(detector, reader, ("", *letters, " "))


def _run(session: Any, grey: FloatArray) -> FloatArray:
    """A network's answer to one grey image, (rows, columns) in [-1, 1]; it takes three channels."""
    batch = np.ascontiguousarray(np.broadcast_to(grey, (1, 3, *grey.shape)))
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0][0], np.float32)


def _regions(text: FloatArray) -> Quads:
    """The map's regions of text, as the smallest rectangles around them, turned or not, and grown. (N, 4, 2)."""
    mask = cv2.dilate((text > _IS_TEXT).view(np.uint8), np.ones((2, 2), np.uint8))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        centre, (width, height), angle = cv2.minAreaRect(outline)
        if min(width, height) < _THINNEST or _score(text, outline) < _BOX_SCORE:
            continue
        grown = width * height * _GROWTH / (width + height)  # to both sides together
        found.append(cv2.boxPoints((centre, (width + grown, height + grown), angle)))
    return np.array(found, np.float32).reshape(-1, 4, 2)


def _thickness(quads: Quads) -> FloatArray:
    """The shorter side of each of the turned rectangles, (N,)."""
    sides = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=2)[:, :2]
    return np.asarray(sides.min(axis=1), np.float32)


def _score(text: FloatArray, outline: npt.NDArray[np.int32]) -> float:
    left, top, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [outline], -1, 1, -1, offset=(-left, -top))
    return float(cv2.mean(text[top : top + height, left : left + width], inside)[0])


def _cut_out(values: npt.NDArray[Any], quad: Quads) -> FloatArray:
    """The pixels within a turned rectangle, straightened, stretched to [-1, 1]; what lies outside is repeated."""
    corners = _from_upper_left(quad)
    width, height = (max(round(float(np.linalg.norm(corners[i] - corners[i + 1]))), 1) for i in (0, 1))
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 3
    window = values[top:bottom, left:right].astype(np.float32)
    onto = np.array([[0, 0], [width, 0], [width, height]], np.float32)
    turn = cv2.getAffineTransform((corners[:3] - np.array([left, top])).astype(np.float32), onto)
    line = cv2.warpAffine(window, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    low, high = (float(v) for v in np.percentile(line, (0.5, 99.5)))
    return np.asarray(np.clip((line - low) * (2 / max(high - low, 1e-6)) - 1, -1, 1), np.float32)


def _from_upper_left(quad: Quads) -> Quads:
    """The corners clockwise, from the one from which the first side leads most nearly to the right."""
    sides = np.roll(quad, -1, axis=0) - quad
    return np.roll(quad, -int(np.argmax(sides[:, 0] / np.maximum(np.linalg.norm(sides, axis=1), 1e-6))), axis=0)


def _directions(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Quarter turns under which a line may read, the likeliest first."""
    rows, columns = shape
    if max(shape) < SQUARE * min(shape):
        return 0, 1, 3, 2
    return (1, 3) if rows > columns else (0, 2)
