"""Masks of several classes in one array: bit k of a pixel is set where class k lies; and boxes of what is in them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from radvit.data.masks import MOST_CLASSES
from radvit.errors import DataError
from radvit.records import Lesion

_NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong together

Plane = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint8]


def check_classes(where: object, count: int) -> None:
    """Raise DataError where there are more classes than a mask has bits."""
    if count > MOST_CLASSES:
        raise DataError(f"{where}: masks of {count} labels; expected at most {MOST_CLASSES}: choose data.labels")


def bits(planes: Iterable[tuple[int, Plane]], rows: int, columns: int) -> Bits:
    """One mask of all classes. planes: (class, (rows, columns) bool); they may overlap. Returns (rows, columns)."""
    mask = np.zeros((rows, columns), np.uint8)
    for label, plane in planes:
        mask[plane] |= np.uint8(1 << label)
    return mask


def components(plane: Plane, label: int) -> tuple[Lesion, ...]:
    """A box around each connected part of a class, 8-connected, in the order of their first rows."""
    parts, _ = ndimage.label(plane, _NEIGHBOURS)
    boxes = ((across.start, down.start, across.stop, down.stop) for down, across in ndimage.find_objects(parts))
    return tuple(Lesion((float(x1), float(y1), float(x2), float(y2)), label) for x1, y1, x2, y2 in boxes)


def all_components(mask: Bits, classes: int) -> tuple[Lesion, ...]:
    """The same for every class of a mask."""
    return tuple(lesion for label in range(classes) for lesion in components((mask >> label & 1).astype(bool), label))
