"""How a stored integer codes a value, and what can be done once for each code instead of once for each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import RLELossless

from radvit.dicom.codecs import StoredArray
from radvit.records import FloatArray

Values = npt.NDArray[np.float64]
Curve = Callable[[Values], Values]
_Flags = npt.NDArray[np.bool_]

_CHUNK = 1 << 15  # pixels looked up at a time: their indices, 8 bytes each, stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Coding:
    """How a stored integer codes a value: the bits that count and their sign (PS3.5 8.1.1).

    padding: the range of values that stand for no measurement (PS3.3 C.7.5.1.1.2), or None.
    """

    allocated: int
    stored: int
    shift: int
    signed: bool
    padding: tuple[int, int] | None = None

    @staticmethod
    def of(dataset: Dataset) -> Coding:
        """Read from BitsAllocated, BitsStored, HighBit, PixelRepresentation and PixelPaddingValue."""
        stored, signed = int(dataset.BitsStored), bool(dataset.get("PixelRepresentation", 0))
        syntax = dataset.file_meta.TransferSyntaxUID
        # A codec has already put the value into the low bits; RLE packs the bytes as they are.
        shifted = not syntax.is_encapsulated or syntax == RLELossless
        high_bit = int(dataset.get("HighBit", stored - 1)) if shifted else stored - 1
        shift = max(high_bit - stored + 1, 0)
        return Coding(int(dataset.BitsAllocated), stored, shift, signed, _padding(dataset, stored, signed))

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest value that can be stored."""
        half = 1 << (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)

    def values(self, codes: StoredArray) -> Values:
        """The values that codes stand for, junk in the unused bits ignored. Returns float64 of the same shape."""
        kept = (codes.astype(np.int64) >> self.shift) & ((1 << self.stored) - 1)
        if self.signed:
            kept = np.where(kept >> (self.stored - 1), kept - (1 << self.stored), kept)
        return kept.astype(np.float64)

    def integers(self, codes: StoredArray) -> StoredArray:
        """The same values as integers of the codes' own size; the codes themselves where they hold nothing else."""
        coded: StoredArray = codes.view(f"{'i' if self.signed else 'u'}{codes.itemsize}")
        unused = 8 * codes.itemsize - self.stored
        if not unused:
            return coded
        if not self.shift and not self.signed:
            return np.asarray(coded & np.array((1 << self.stored) - 1, coded.dtype))
        return (coded << (unused - self.shift)) >> unused  # drops the unused bits and extends the sign

    def is_padding(self, values: Values) -> _Flags:
        """Which values are padding."""
        if self.padding is None:
            return np.zeros(values.shape, bool)
        low, high = self.padding
        return (values >= low) & (values <= high)

    def table(self, curve: Curve) -> FloatArray:
        """The curve at every code, 0 at padding, (2**allocated,) float32."""
        return self._mapped(self.values(np.arange(1 << self.allocated)), curve)

    def look_up(self, frame: StoredArray, curve: Curve, table: FloatArray | None) -> FloatArray:
        """Map one frame, through the table where there is one. Returns float32."""
        if table is None:
            return self._mapped(self.values(frame), curve)
        grey, codes = np.empty(frame.shape, np.float32), _codes(np.ascontiguousarray(frame)).reshape(-1)
        flat = grey.reshape(-1)
        for start in range(0, codes.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            np.take(table, codes[part], out=flat[part], mode="clip")  # no code is beyond the table: clip is the fastest
        return grey

    def counts(self, stored: StoredArray) -> tuple[Values, npt.NDArray[np.int64]]:
        """Histogram: the distinct values, ascending, and how many pixels hold each."""
        if self.allocated > 16:
            values, counts = np.unique(self.values(stored), return_counts=True)
            return values, counts.astype(np.int64)
        codes = _histogram(_codes(np.ascontiguousarray(stored)), 1 << self.allocated)
        used = np.flatnonzero(codes)
        values, where = np.unique(self.values(used), return_inverse=True)
        return values, np.bincount(where, weights=codes[used]).astype(np.int64)

    def _mapped(self, values: Values, curve: Curve) -> FloatArray:
        grey = curve(values).astype(np.float32)
        if self.padding is not None:
            grey[self.is_padding(values)] = 0  # black, whatever way round the values are shown
        return grey


def _codes(stored: StoredArray) -> npt.NDArray[np.unsignedinteger[Any]]:
    """The bits of stored pixels, as unsigned integers of the same size: a view."""
    return stored.view(f"u{stored.itemsize}")


def _histogram(codes: npt.NDArray[np.unsignedinteger[Any]], size: int) -> npt.NDArray[np.int64]:
    """How many pixels hold each code, (size,). OpenCV counts in a third of numpy's time, in float32: exact to 2**24."""
    counts = np.zeros(size, np.int64)
    rows = codes.reshape(-1, codes.shape[-1])
    step = max((1 << 24) // rows.shape[1], 1)
    for start in range(0, len(rows), step):
        counts += cv2.calcHist([rows[start : start + step]], [0], None, [size], [0, size]).ravel().astype(np.int64)
    return counts


def _padding(dataset: Dataset, stored: int, signed: bool) -> tuple[int, int] | None:
    """One value or a range, as the stored values are counted, whichever sign the file wrote it with."""
    ends = [dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")]
    if not isinstance(ends[0], int):
        return None
    wrapped = [_wrapped(end, stored, signed) for end in ends if isinstance(end, int)]
    return min(wrapped), max(wrapped)


def _wrapped(value: int, stored: int, signed: bool) -> int:
    """A value of 16 bits read with the wrong sign, put right."""
    if signed and value >= 1 << 15 and stored <= 16:
        return value - (1 << 16)
    return value + (1 << 16) if value < 0 and not signed else value
