"""Stored values to grey: Modality LUT, then VOI, then MONOCHROME1, in one table look-up a frame.

The pipeline is PS3.4 N.2: stored -> (PS3.3 C.11.1) modality -> (PS3.3 C.11.2) values of interest -> display. It is
computed once for each value a pixel can hold (at most 65,536) and looked up, so that no pixel is ever float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.pixels import pixel_array

from radvit.dicom.read import frame_count
from radvit.errors import DicomReadError
from radvit.records import FloatArray

StoredArray = npt.NDArray[np.integer[Any]]
_Values = npt.NDArray[np.float64]
_Curve = Callable[[_Values], _Values]

PERCENTILES = (0.5, 99.5)


def decode(dataset: Dataset) -> StoredArray:
    """Decode the pixel data. Returns (frames, rows, columns), integers as stored, bits above BitsStored as they came.

    Raises DicomReadError (`decode-failed`).
    """
    shape = (frame_count(dataset), int(dataset.Rows), int(dataset.Columns))
    try:
        stored = pixel_array(dataset, correct_unused_bits=False)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a decoder in Rust that panics raises no mere Exception
        raise DicomReadError("decode-failed", f"the pixel data can't be decoded: {type(error).__name__}") from None
    if stored.size != np.prod(shape) or stored.dtype.kind not in "iu":
        raise DicomReadError("decode-failed", f"decoded to {stored.shape}; expected {shape}")
    # Big-endian files decode to big-endian arrays, whose bits can't be looked up.
    frames: StoredArray = stored.reshape(shape).astype(stored.dtype.newbyteorder("="), copy=False)
    return frames


def to_grey(dataset: Dataset, stored: StoredArray | None = None) -> list[tuple[FloatArray, str]]:
    """Grey pixels of every frame, with how they were windowed, in words.

    stored: what `decode` gave, or changed pixels of that shape; decoded here if None. Returns for each frame
    (rows, columns) float32 in [0, 1], bright where MONOCHROME2 is bright.
    Raises DicomReadError (`decode-failed`, `bad-pixels`).
    """
    stored = decode(dataset) if stored is None else stored
    try:
        return _frames(dataset, stored)
    except DicomReadError:
        raise
    except Exception as error:  # noqa: BLE001 - malformed look-up tables and windows; the text may quote the file
        raise DicomReadError("bad-pixels", f"the grey values can't be mapped: {type(error).__name__}") from None


def _frames(dataset: Dataset, stored: StoredArray) -> list[tuple[FloatArray, str]]:
    coding = Coding.of(dataset)
    done: dict[tuple[Any, ...], tuple[_Curve, str, FloatArray | None]] = {}
    frames = []
    for index, frame in enumerate(stored):
        sources = frame_sources(dataset, index)
        key = tuple(id(source) for source in sources)
        if key not in done:
            curve, words = _curve(dataset, sources, coding, stored)
            done[key] = (curve, words, coding.table(curve) if coding.allocated <= 16 else None)
        curve, words, table = done[key]
        frames.append((coding.look_up(frame, curve, table), words))
    return frames


@dataclass(frozen=True, slots=True)
class Coding:
    """How a stored integer codes a value: the bits that count and their sign (PS3.5 8.1.1)."""

    allocated: int
    stored: int
    shift: int
    signed: bool

    @staticmethod
    def of(dataset: Dataset) -> Coding:
        """Read from BitsAllocated, BitsStored, HighBit and PixelRepresentation."""
        stored = int(dataset.BitsStored)
        # In encapsulated data the codec has already put the value into the low bits.
        shift = 0 if dataset.file_meta.TransferSyntaxUID.is_encapsulated else int(dataset.get("HighBit", stored - 1))
        shift = max(shift - stored + 1, 0)
        return Coding(int(dataset.BitsAllocated), stored, shift, bool(dataset.get("PixelRepresentation", 0)))

    def values(self, codes: StoredArray) -> _Values:
        """The values that codes stand for, junk in the unused bits ignored. Returns float64 of the same shape."""
        kept = (codes.astype(np.int64) >> self.shift) & ((1 << self.stored) - 1)
        if self.signed:
            kept = np.where(kept >> (self.stored - 1), kept - (1 << self.stored), kept)
        return kept.astype(np.float64)

    def table(self, curve: _Curve) -> FloatArray:
        """The curve at every code, (2**allocated,) float32."""
        return curve(self.values(np.arange(1 << self.allocated))).astype(np.float32)

    def look_up(self, frame: StoredArray, curve: _Curve, table: FloatArray | None) -> FloatArray:
        """Map one frame, through the table where there is one. Returns float32."""
        if table is None:
            return curve(self.values(frame)).astype(np.float32)
        grey: FloatArray = table[_codes(frame)]
        return grey

    def classify(self, frame: StoredArray, kind: Callable[[_Values], npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
        """A small number for each pixel of a frame, from its value. Returns (rows, columns) uint8."""
        if self.allocated > 16:
            return kind(self.values(frame))
        kinds: npt.NDArray[np.uint8] = kind(self.values(np.arange(1 << self.allocated)))[_codes(frame)]
        return kinds

    def counts(self, stored: StoredArray) -> tuple[_Values, npt.NDArray[np.int64]]:
        """Histogram: the distinct values, ascending, and how many pixels hold each."""
        if self.allocated > 16:
            values, counts = np.unique(self.values(stored), return_counts=True)
            return values, counts.astype(np.int64)
        codes = np.bincount(_codes(stored).ravel(), minlength=1 << self.allocated)
        used = np.flatnonzero(codes)
        values, where = np.unique(self.values(used), return_inverse=True)
        return values, np.bincount(where, weights=codes[used]).astype(np.int64)


def _codes(stored: StoredArray) -> npt.NDArray[np.unsignedinteger[Any]]:
    """The bits of stored pixels, as unsigned integers of the same size: a view."""
    return stored.view(f"u{stored.itemsize}")


def frame_sources(dataset: Dataset, frame: int) -> tuple[Dataset, ...]:
    """The data sets that describe a frame, nearest first: its functional groups, the shared ones, the top level.

    Source: PS3.3 C.7.6.16.
    """
    groups: list[Dataset] = []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        groups.extend(element.value[0] for element in group if element.VR == "SQ" and element.value)
    return (*groups, dataset)


def first_with(sources: tuple[Dataset, ...], keyword: str) -> Dataset | None:
    """The nearest data set in which an attribute is present with a value."""
    return next((source for source in sources if source.get(keyword) not in (None, "", [])), None)


def _curve(dataset: Dataset, sources: tuple[Dataset, ...], coding: Coding, stored: StoredArray) -> tuple[_Curve, str]:
    modality = _modality(sources, dataset)
    voi, words = _voi(sources, dataset) or _percentile_window(dataset, coding, stored, modality)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"

    def curve(values: _Values) -> _Values:
        grey = voi(modality(values))
        return 1 - grey if inverted else grey

    return curve, words


def _modality(sources: tuple[Dataset, ...], dataset: Dataset) -> _Curve:
    """Stored value to modality value: LUT, or slope and intercept, or itself (PS3.3 C.11.1)."""
    tables = first_with(sources, "ModalityLUTSequence")
    if tables is not None:
        look_up, _ = _table(tables.ModalityLUTSequence[0], dataset)
        return look_up
    source = first_with(sources, "RescaleSlope")
    if source is None:
        return lambda values: values
    slope, intercept = float(source.RescaleSlope), float(source.get("RescaleIntercept") or 0)
    if not (np.isfinite([slope, intercept]).all() and slope):
        raise DicomReadError("bad-pixels", f"rescale slope {slope}, intercept {intercept}; expected finite, not zero")
    return lambda values: values * slope + intercept


def _voi(sources: tuple[Dataset, ...], dataset: Dataset) -> tuple[_Curve, str] | None:
    """Modality value to grey in [0, 1] by the file's own VOI: its table, else its first valid window, else None.

    Where a file offers several, any one may be applied (PS3.3 C.11.2.1); the table is the finer one.
    """
    tables = first_with(sources, "VOILUTSequence")
    if tables is not None:
        look_up, top = _table(tables.VOILUTSequence[0], dataset)
        return (lambda values: np.clip(look_up(values) / top, 0, 1)), "VOI look-up table"
    source = first_with(sources, "WindowWidth")
    if source is None or source.get("WindowCenter") in (None, "", []):
        return None
    function = str(source.get("VOILUTFunction") or "LINEAR").upper()
    center, width = _first(source.WindowCenter), _first(source.WindowWidth)
    valid = width >= 1 if function == "LINEAR" else width > 0
    if function not in _WINDOWS or not valid or not np.isfinite([center, width]).all():
        return None
    shape = _WINDOWS[function]
    return (lambda values: shape(values, center, width)), f"window {function}, center {center:g}, width {width:g}"


def linear(values: _Values, center: float, width: float) -> _Values:
    """LINEAR window into [0, 1]. Source: PS3.3 C.11.2.1.2.1. width: at least 1."""
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def linear_exact(values: _Values, center: float, width: float) -> _Values:
    """LINEAR_EXACT window into [0, 1]. Source: PS3.3 C.11.2.1.3.2. width: above 0."""
    return np.clip((values - center) / width + 0.5, 0, 1)


def sigmoid(values: _Values, center: float, width: float) -> _Values:
    """SIGMOID window into (0, 1). Source: PS3.3 C.11.2.1.3.1. width: above 0."""
    exponent = np.clip(-4 * (values - center) / width, -700, 700)
    return np.asarray(1 / (1 + np.exp(exponent)))


_WINDOWS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def _percentile_window(dataset: Dataset, coding: Coding, stored: StoredArray, modality: _Curve) -> tuple[_Curve, str]:
    """A window over the middle 99 % of the values of all frames, padding left out: for files without a usable VOI."""
    values, counts = coding.counts(stored)
    kept = ~_is_padding(dataset, values)
    if kept.any():
        values, counts = values[kept], counts[kept]
    mapped = modality(values)
    order = np.argsort(mapped)
    share = np.cumsum(counts[order]) / counts.sum() * 100
    low, high = (float(mapped[order][np.searchsorted(share, p)]) for p in PERCENTILES)
    words = f"percentiles {PERCENTILES[0]:g} to {PERCENTILES[1]:g} ({low:g} to {high:g}); the file has no usable window"
    width = (high - low) or 1.0  # a flat image is black
    return (lambda values: np.clip((values - low) / width, 0, 1)), words


def _is_padding(dataset: Dataset, values: _Values) -> npt.NDArray[np.bool_]:
    """Which stored values are padding: one value, or the range up to a limit (PS3.3 C.7.5.1.1.2)."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.zeros(values.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(padding), int(padding if limit is None else limit)))
    return (values >= low) & (values <= high)


def _table(item: Dataset, dataset: Dataset) -> tuple[_Curve, float]:
    """The look-up table of a LUT item, and the largest output its bit depth allows (PS3.3 C.11.1.1.1)."""
    count, first, bits = (int(v) for v in item.LUTDescriptor)
    count = count or 1 << 16
    if first >= 1 << 15 and dataset.get("PixelRepresentation", 0) and "RescaleSlope" not in dataset:
        first -= 1 << 16  # a signed first value read as unsigned
    outputs = _table_data(item, dataset, count, bits)
    if len(outputs) < count or not 1 <= bits <= 16:
        raise DicomReadError("bad-pixels", f"look-up table of {len(outputs)} entries, {bits} bits; expected {count}")
    return (lambda values: outputs[np.clip(values - first, 0, count - 1).astype(np.int64)]), float((1 << bits) - 1)


def _table_data(item: Dataset, dataset: Dataset, count: int, bits: int) -> _Values:
    data = item.LUTData
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.float64))
    if bits <= 8 and len(data) == count + count % 2 < 2 * count:  # entries of 8 bits, packed
        return np.frombuffer(data, np.uint8)[:count].astype(np.float64)
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    return np.frombuffer(data, f"{order}u2", count).astype(np.float64)


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
