"""Lines of invented text, drawn into images in many looks, with the truth of where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from radvit.dicom.pixels import StoredArray
from radvit.records import FloatArray

LATIN = (
    "DAVIDSON^DOUGLAS",
    "Okafor, Ngozi A.",
    "ID 00010-7833-QX",
    "DOB 1976-06-16",
    "ST. VINCENT HOSPITAL",
    "12.03.2019 14:22:07",
)
CHINESE = ("王秀英 女", "张伟 1962年5月", "住院号 4410928", "协和医院放射科", "李娜 45岁", "检查日期 2019-03-12")

_FONTS = {"sans": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "mono": "DejaVuSansMono.ttf"}
_CAPITAL = 0.73  # height of a capital letter over a font's size
_BORDER_PX, _APART_PX = 4, 30
_TRIES = 200
_INK = 0.3  # least share of the text's value in a pixel that belongs to it
_SEEN = 0.02  # of the range: what differs less from its background can't be seen, and isn't planted


@dataclass(frozen=True, slots=True)
class Kind:
    """One look. height_px: of a capital letter. contrast: share of the image's range; None for its lightest value.

    turn_deg: counterclockwise. soft_px: spread of the blur. dark: at the darkest value.
    """

    name: str
    font: str = "sans"
    height_px: int = 24
    contrast: float | None = None
    turn_deg: int = 0
    soft_px: float = 0.0
    dark: bool = False


KINDS = (
    Kind("plain, 24 px"),
    Kind("dark, 24 px", dark=True),
    Kind("bold, 40 px", "bold", 40),
    Kind("monospaced, 16 px", "mono", 16),
    Kind("hairlines, 12 px", "hairline", 12),
    Kind("12 px", height_px=12),
    Kind("9 px", height_px=9),
    Kind("soft, 20 px", height_px=20, soft_px=1.5),
    Kind("contrast 10 %, 24 px", contrast=0.10),
    Kind("contrast 10 %, 14 px", height_px=14, contrast=0.10),
    Kind("contrast 5 %, 24 px", contrast=0.05),
    Kind("turned by 90", turn_deg=90),
    Kind("turned by 270", turn_deg=270),
    Kind("turned by 180", turn_deg=180),
    Kind("turned by 20", turn_deg=20),
)
CHINESE_KINDS = (Kind("Chinese, 24 px", "chinese"), Kind("Chinese, 16 px", "chinese", 16))


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted line: its window of the image, and which of the window's pixels belong to its strokes."""

    window: tuple[slice, slice]
    ink: npt.NDArray[np.bool_]


def plant(
    image: StoredArray, kind: Kind, rng: np.random.Generator, chinese: Path | None = None
) -> tuple[StoredArray, list[Planted]]:
    """Draw lines of text of one look at random places of an image, apart from one another. The input stays as it is.

    image: (rows, columns), unsigned. chinese: a font, which Chinese text needs. Lines that find no place, or could not
    be seen where they fall, are left out.
    """
    drawn, taken, lines = image.astype(np.float32), np.zeros(image.shape, bool), []
    for text in CHINESE if kind.font == "chinese" else LATIN:
        ink = _ink(text, kind, chinese)
        window = _place(ink.shape, taken, rng)
        if window is None:
            continue
        area = drawn[window]
        blended = area * (1 - ink) + _level(area, kind, image) * ink
        if np.median(np.abs(blended - area)[ink > _INK]) < _SEEN * float(np.ptp(image)):
            continue
        area[:] = blended
        taken[window] = True
        lines.append(Planted(window, ink > _INK))
    return np.rint(drawn).astype(image.dtype), lines


def found(lines: Sequence[Planted], covered: npt.NDArray[np.bool_], least: float = 0.95) -> int:
    """How many lines have at least that share of their ink covered. covered: (rows, columns)."""
    return sum(bool(covered[line.window][line.ink].mean() >= least) for line in lines)


def _place(
    shape: tuple[int, ...], taken: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[slice, slice] | None:
    free = np.array(taken.shape) - np.array(shape) - 2 * _BORDER_PX
    if (free <= 0).any():
        return None
    for _ in range(_TRIES):
        top, left = (int(v) for v in rng.integers(_BORDER_PX, free + _BORDER_PX))
        rows = slice(max(top - _APART_PX, 0), top + shape[0] + _APART_PX)
        columns = slice(max(left - _APART_PX, 0), left + shape[1] + _APART_PX)
        if not taken[rows, columns].any():
            return slice(top, top + shape[0]), slice(left, left + shape[1])
    return None


def _level(area: FloatArray, kind: Kind, image: StoredArray) -> float:
    low, high = float(image.min()), float(image.max())
    if kind.contrast is None:
        return low if kind.dark else high
    middle, step = float(np.median(area)), kind.contrast * (high - low)
    return middle + step if middle + step <= high else middle - step


def _ink(text: str, kind: Kind, chinese: Path | None) -> FloatArray:
    """The text's share of each pixel, (rows, columns) in [0, 1]."""
    drawn = _hairlines(text, kind.height_px) if kind.font == "hairline" else _letters(text, kind, chinese)
    if kind.soft_px:
        drawn = cv2.GaussianBlur(cv2.copyMakeBorder(drawn, 6, 6, 6, 6, cv2.BORDER_CONSTANT), (0, 0), kind.soft_px)
    turned = np.rot90(drawn, kind.turn_deg // 90) if kind.turn_deg % 90 == 0 else _tilted(drawn, kind.turn_deg)
    return np.asarray(turned, np.float32) / np.float32(255)


def _hairlines(text: str, height: int) -> npt.NDArray[np.uint8]:
    scale, thickness = height / 22, max(1, round(height / 9))
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    layer = np.zeros((2 * height + 8, width + 8), np.uint8)
    at = (4, int(1.4 * height) + 4)
    cv2.putText(layer, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    return layer


def _letters(text: str, kind: Kind, chinese: Path | None) -> npt.NDArray[np.uint8]:
    path = chinese if kind.font == "chinese" else Path(matplotlib.get_data_path(), "fonts", "ttf", _FONTS[kind.font])
    font = ImageFont.truetype(str(path), round(kind.height_px / _CAPITAL))
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    layer = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(layer).text((4 - left, 4 - top), text, font=font, fill=255)
    return np.asarray(layer)


def _tilted(drawn: npt.NDArray[np.uint8], degrees: int) -> npt.NDArray[np.uint8]:
    height, width = drawn.shape
    side = int(np.hypot(height, width)) + 2
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turn[:, 2] += [(side - width) / 2, (side - height) / 2]
    tilted = cv2.warpAffine(drawn, turn, (side, side), flags=cv2.INTER_LINEAR)
    rows, columns = np.flatnonzero(tilted.any(axis=1)), np.flatnonzero(tilted.any(axis=0))
    return np.asarray(tilted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
