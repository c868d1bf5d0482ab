"""Writing a cohort's arrays as its images come, so that a cohort need not fit into memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.data.decoding import Decoded, Failure
from radvit.data.samples import Sample

PIXELS, MASKS = "pixels.npy", "masks.npy"


class ArrayFile:
    """An .npy file of images of one shape, written one by one; it is whole once closed."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self._file = path.open("wb")
        self._dtype, self._shape = np.dtype(dtype), shape
        self._count = 0
        self._head()

    def add(self, image: npt.NDArray[Any]) -> None:
        """Write one more image."""
        self._file.write(np.ascontiguousarray(image, self._dtype).tobytes())
        self._count += 1

    def close(self) -> None:
        """Write the header again, now with the number of images; numpy leaves room for it to grow."""
        self._file.seek(0)
        self._head()
        self._file.close()

    def _head(self) -> None:
        shape = (self._count, *self._shape)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class CohortWriter:
    """Takes decoded items in their order and writes pixels, and masks where there are any, into a folder.

    samples: what was taken, and items: the item each came from. failures: (item, reason). digest: over the content.
    unmasked: how many positive images have no mask.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._pixels = ArrayFile(folder / PIXELS, "<f2", (size, size))
        self._masks: ArrayFile | None = None
        self._names: set[str] = set()
        self.samples: list[Sample] = []
        self.items: list[int] = []
        self.failures: list[tuple[int, str]] = []
        self.digest = hashlib.sha256()
        self.unmasked = 0

    def __enter__(self) -> CohortWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pixels.close()
        if self._masks is not None:
            self._masks.close()

    @property
    def has_masks(self) -> bool:
        """Whether any image so far had a mask."""
        return self._masks is not None

    def add(self, index: int, decoded: list[Decoded] | Failure) -> None:
        """Take an item; of two images with one name the first counts."""
        if isinstance(decoded, Failure):
            self.failures.append((index, decoded.reason))
            return
        for one in decoded:
            if one.sample.name in self._names:
                self.failures.append((index, "duplicate"))
                continue
            self._names.add(one.sample.name)
            self._take(index, one)

    def _take(self, index: int, one: Decoded) -> None:
        self._pixels.add(one.pixels)
        self.digest.update(one.pixels.tobytes())
        self.digest.update(repr((one.sample.targets, one.sample.lesions)).encode())
        self._take_mask(one)
        self.samples.append(one.sample)
        self.items.append(index)

    def _take_mask(self, one: Decoded) -> None:
        """Nothing is written before the first mask; the images before it then get empty ones, as later ones do."""
        empty = np.zeros((self._size, self._size), np.uint8)
        if self._masks is None and one.mask is not None:
            self._masks = ArrayFile(self._folder / MASKS, "|u1", (self._size, self._size))
            for _ in self.samples:
                self._masks.add(empty)
        if self._masks is not None:
            self._masks.add(empty if one.mask is None else one.mask)
        if one.mask is not None:
            self.digest.update(one.mask.tobytes())
        elif one.sample.positive:
            self.unmasked += 1
