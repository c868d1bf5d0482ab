"""Plates larger than the irradiated field: an empty border around what was exposed, on some images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.dicom.written import Coding

_WIDEST = 0.28  # of the field's side
_NONE_BELOW = 0.04  # a side with less has no border
_UNCORRECTED = 0.3  # share of borders that stay white, as what got no radiation is; others are blackened by the machine


@dataclass(frozen=True, slots=True)
class Border:
    """Pixels on each side of the field, and whether they are white in the MONOCHROME2 sense, else black."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0
    white: bool = False


def draw_border(rng: np.random.Generator, share: float, shape: tuple[int, int]) -> Border:
    """Draw the border of an image. share: of images that have any. shape: rows and columns of the field."""
    if rng.random() >= share:
        return Border()
    parts = zip(rng.uniform(0, _WIDEST, 4), shape * 2, strict=True)
    top, left, bottom, right = (round(part * side) if part >= _NONE_BELOW else 0 for part, side in parts)
    return Border(top, left, bottom, right, bool(rng.random() < _UNCORRECTED))


def surround(stored: npt.NDArray[np.uint16], border: Border, coding: Coding) -> npt.NDArray[np.uint16]:
    """An image with its border around it. stored: (rows, columns). Returns a new array, or the same without border."""
    around = (border.top, border.bottom), (border.left, border.right)
    if not np.any(around):
        return stored
    full = border.white != (coding.photometric == "MONOCHROME1")
    return np.pad(stored, around, constant_values=(1 << coding.bits) - 1 if full else 0)
