"""How invented machines store grey values: pixel pitch and counts, bits, photometric sense, windows, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.phantom.spec import CohortSpec
from radvit.dicom.written import Coding
from radvit.records import FloatArray

T = TypeVar("T")

_PITCHES_MM = (0.139, 0.143, 0.148, 0.15, 0.16, 0.168, 0.175, 0.194, 0.2)
_FIELDS_MM = ((350.0, 430.0), (430.0, 350.0), (430.0, 430.0), (350.0, 350.0), (400.0, 400.0), (380.0, 420.0))
_SHOWN_PERCENTILES = (1.0, 99.7)


@dataclass(frozen=True, slots=True)
class Machine:
    """An invented maker's device. kind: CR or DX."""

    kind: str
    manufacturer: str
    model: str
    software: str
    bits: tuple[int, ...]


MACHINES = (
    Machine("CR", "Phosphorex", "Plate Reader 85", "V4.2", (10, 12)),
    Machine("CR", "Imagotype", "CRX 500", "2.1.7", (10, 12, 14)),
    Machine("DX", "Lumidyne", "FlatPanel 17", "R8.03", (12, 14)),
    Machine("DX", "Radiantia", "Digit One", "5.0", (12, 14, 16)),
    Machine("DX", "Ostrava Roentgen", "Mobile DX-R", "1.9", (12, 15)),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The detector's picture: rows, columns, and the pixel pitch at the detector in mm."""

    rows: int
    columns: int
    pitch_mm: float


def draw_frame(rng: np.random.Generator, spec: CohortSpec) -> Frame:
    """Draw a field and pixels that show a whole chest within the image sizes asked for."""
    low, high = spec.field_mm
    width, height = (float(np.clip(side * rng.uniform(0.95, 1.0), low, high)) for side in _pick(rng, _FIELDS_MM))
    pitch = _pick(rng, _PITCHES_MM)
    most, least = max(width, height) / pitch, min(width, height) / pitch
    if most > spec.size_px[1]:
        pitch = max(width, height) / rng.uniform(0.92 * spec.size_px[1], spec.size_px[1])
    elif least < spec.size_px[0]:
        pitch = min(width, height) / spec.size_px[0]
    rows, columns = (int(np.clip(round(side / pitch), *spec.size_px)) for side in (height, width))
    return Frame(rows, columns, round(float(pitch), 5))


def draw_coding(rng: np.random.Generator, machine: Machine, spec: CohortSpec) -> Coding:
    """Draw how a machine stores its images; windows are placed later, by `quantise`."""
    photometric = "MONOCHROME1" if rng.random() < 0.35 else "MONOCHROME2"
    rescale = None
    if machine.kind == "CR" and rng.random() < 0.5:
        rescale = _pick(rng, ((1.0, 0.0), (1.0, -1024.0), (0.5, 100.0), (2.0, -500.0)))
    syntaxes = ("jpeg2000", "rle", "explicit", "implicit")
    rest = 1 - spec.jpeg2000
    syntax = str(rng.choice(syntaxes, p=[spec.jpeg2000, 0.5 * rest, 0.35 * rest, 0.15 * rest]))
    function = "LINEAR"
    if machine.kind == "DX" and rng.random() < 0.25:
        function = "SIGMOID" if rng.random() < 0.6 else "LINEAR_EXACT"
    return Coding(int(_pick(rng, machine.bits)), photometric, rescale, (), function, syntax)


def draw_windows(rng: np.random.Generator, machine: Machine) -> int:
    """Number of VOI windows; a DX image always has one (PS3.3 C.8.11.5), a CR image may have none."""
    return int(rng.choice([0, 1, 2, 3], p=[0.3, 0.4, 0.15, 0.15] if machine.kind == "CR" else [0, 0.6, 0.2, 0.2]))


def quantise(image: FloatArray, coding: Coding, windows: int) -> tuple[npt.NDArray[np.uint16], Coding]:
    """Store an image, and place the windows so that lungs to spine fill the grey scale.

    image: (rows, columns), bright where attenuation is high. Returns stored values and the coding with its windows.
    """
    rows, columns = image.shape
    middle = image[rows // 8 : -rows // 8 : 8, columns // 8 : -columns // 8 : 8]
    dark, bright = (float(v) for v in np.percentile(middle, _SHOWN_PERCENTILES))
    dark -= 0.12 * (bright - dark)
    floor, ceiling = dark - 0.35 * (bright - dark), bright + 0.25 * (bright - dark)
    top = (1 << coding.bits) - 1
    gain = top / (ceiling - floor)
    values = image * np.float32(gain) + np.float32(0.5 - floor * gain)
    if coding.photometric == "MONOCHROME1":
        values = np.float32(top + 1) - values
    stored = np.clip(values, 0, top, out=values).astype(np.uint16)
    low, high = (dark - floor) * gain, (bright - floor) * gain
    return stored, _with_windows(coding, windows, low, high, top)


def _with_windows(coding: Coding, count: int, low: float, high: float, top: int) -> Coding:
    """Windows around the stored values that shall be black and white in the MONOCHROME2 sense."""
    if coding.photometric == "MONOCHROME1":
        low, high = top - high, top - low
    slope, intercept = coding.rescale or (1.0, 0.0)
    center, width = (low + high) / 2 * slope + intercept, (high - low) * slope
    if coding.voi_function == "SIGMOID":
        width *= 0.85
    choices = [("NORMAL", 1.0), ("HARDER", 0.75), ("SOFTER", 1.35)]
    windows = tuple((round(center), max(round(width * factor), 2), name) for name, factor in choices[:count])
    if count == 1 and coding.bits == 12:
        windows = tuple((center, width, "") for center, width, _ in windows)
    return Coding(coding.bits, coding.photometric, coding.rescale, windows, coding.voi_function, coding.syntax)


def burn_in(stored: npt.NDArray[np.uint16], lines: list[str], coding: Coding, marker: str) -> None:
    """Write white letters into an image in place: lines of text top left, and the side marker top right or left."""
    rows, columns = stored.shape
    white = 0 if coding.photometric == "MONOCHROME1" else (1 << coding.bits) - 1
    height = max(14, round(rows / 62))
    for number, line in enumerate(lines):
        _write(stored, line, (height, height * 2 + int(1.7 * height * number)), height, white)
    if marker:
        x = columns - 5 * height if marker == "L" else 2 * height
        _write(stored, marker, (x, rows // 5), 2 * height, white)


def _write(stored: npt.NDArray[np.uint16], text: str, at: tuple[int, int], height: int, white: int) -> None:
    """Draw one line. at: x, y of its lower left corner. height: of a capital letter, px."""
    scale, thickness = height / 22, max(1, height // 9)
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x, y = at
    x = max(min(x, stored.shape[1] - width - 4), 4)
    layer = np.zeros((2 * height + 8, width + 8), np.uint8)
    cv2.putText(layer, text, (4, int(1.4 * height) + 4), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    top = max(y - int(1.4 * height) - 4, 0)
    area = stored[top : top + layer.shape[0], x : x + layer.shape[1]]
    share = layer[: area.shape[0], : area.shape[1]].astype(np.float32) / 255
    area[:] = np.rint(area * (1 - share) + white * share).astype(np.uint16)


def _pick(rng: np.random.Generator, choices: tuple[T, ...]) -> T:
    return choices[int(rng.integers(len(choices)))]
