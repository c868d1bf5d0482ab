"""Overlays under the Clean Graphics Option: planes with text go, the others stay (PS3.15 E.3.3, PS3.3 C.9.2)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radvit.deid.strokes import find_text
from radvit.deid.tables import OVERLAYS
from radvit.dicom.coding import Coding

_ROWS, _COLUMNS, _FRAMES, _BITS, _DATA = 0x0010, 0x0011, 0x0015, 0x0100, 0x3000
_PLANE = Coding(allocated=8, stored=8, shift=0, signed=False)


def drop_lettered_overlays(dataset: Dataset) -> int:
    """Remove each overlay that holds text, or no plane of its own; returns how many. Changes the data set in place.

    A plane within the unused bits of the pixels is gone with them.
    """
    dropped = 0
    for group in sorted({tag.group for tag in tuple(dataset.keys()) if tag.group in OVERLAYS}):
        frames = _frames(dataset, group)
        if frames is None or any(len(find_text(frame, _PLANE)) for frame in frames):
            for tag in [tag for tag in tuple(dataset.keys()) if tag.group == group]:
                del dataset[tag]
            dropped += 1
    return dropped


def _frames(dataset: Dataset, group: int) -> npt.NDArray[np.uint8] | None:
    """The plane as (frames, rows, columns), 0 and 255; None where it is absent or shorter than it should be."""
    try:
        rows, columns, bits = (int(dataset[group, element].value) for element in (_ROWS, _COLUMNS, _BITS))
        frames = int(dataset[group, _FRAMES].value) if (group, _FRAMES) in dataset else 1
        data = np.frombuffer(dataset[group, _DATA].value, np.uint8)
    except (KeyError, TypeError, ValueError):
        return None
    size = frames * rows * columns
    if bits != 1 or min(frames, rows, columns) < 1 or len(data) < math.ceil(size / 8):
        return None
    plane = np.unpackbits(data, count=size, bitorder="little")  # PS3.5 8.1.2
    return (plane * np.uint8(255)).reshape(frames, rows, columns)
