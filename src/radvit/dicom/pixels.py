"""Stored values to grey: Modality LUT, VOI, then Presentation LUT, in one table look-up a frame.

The pipeline is PS3.4 N.2: stored -> (PS3.3 C.11.1) modality -> (C.11.2) values of interest -> (C.11.6, or MONOCHROME1)
display. It is computed once for each value a pixel can hold (at most 65,536) and looked up, so that no pixel is ever
float64. Padding is black, and stands in the same table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydicom import Dataset

from radvit.dicom.codecs import StoredArray as StoredArray
from radvit.dicom.codecs import decode_samples
from radvit.dicom.coding import Coding as Coding
from radvit.dicom.coding import Curve, Values
from radvit.dicom.frames import first_with as first_with
from radvit.dicom.frames import frame_sources as frame_sources
from radvit.dicom.frames import has
from radvit.dicom.voi import DEFAULT, Rule, Table, Voi, Window, offers_view, windows
from radvit.errors import DicomReadError
from radvit.records import FloatArray

PERCENTILES = (0.5, 99.5)
# X-ray angiography, fluoroscopy and biplane angiography: their Modality LUT leads back to intensities, and is no part
# of what is shown (PS3.3 C.8.7.1.1.2).
_FLUOROSCOPY = tuple(f"1.2.840.10008.5.1.4.1.1.12.{n}" for n in (1, 2, 3))
_Sources = tuple[Dataset, ...]


def decode(dataset: Dataset) -> StoredArray:
    """Decode grey pixel data. Returns (frames, rows, columns), read-only, integers as stored, with the bits above
    BitsStored as they came.

    Raises DicomReadError (`decode-failed`, `memory`).
    """
    samples, _ = decode_samples(dataset)
    if samples.shape[-1] != 1:
        raise DicomReadError("decode-failed", f"{samples.shape[-1]} samples a pixel; expected 1")
    return samples[..., 0]


def to_grey(dataset: Dataset, stored: StoredArray | None = None, voi: Voi = DEFAULT) -> list[tuple[FloatArray, str]]:
    """Grey pixels of every frame, with how they were windowed, in words.

    dataset: after `voi.resolve`, where there may be several windows to choose from; else the first counts. stored: what
    `decode` gave, or changed pixels of that shape; decoded here if None. Returns for each frame (rows, columns) float32
    in [0, 1], bright where MONOCHROME2 is bright.
    Raises DicomReadError (`decode-failed`, `bad-pixels`, `memory`).
    """
    stored = decode(dataset) if stored is None else stored
    try:
        return _frames(_Pixels(dataset, stored, voi))
    except DicomReadError:
        raise
    except MemoryError:
        raise DicomReadError("memory", "the grey values need more memory than there is") from None
    except Exception as error:  # noqa: BLE001 - malformed look-up tables and windows; the text may quote the file
        raise DicomReadError("bad-pixels", f"the grey values can't be mapped: {type(error).__name__}") from None


@dataclass(frozen=True, slots=True)
class Rescale:
    """Modality values by slope and intercept (PS3.3 C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: Values) -> Values:
        """Stored values to modality values."""
        return values if (self.slope, self.intercept) == (1, 0) else values * self.slope + self.intercept


@dataclass(frozen=True, slots=True)
class Shares:
    """A look-up table whose output is grey."""

    table: Table

    def __call__(self, values: Values) -> Values:
        """Modality values to grey."""
        return self.table.shares(values)

    def __str__(self) -> str:
        return "VOI look-up table"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A window over the middle values of a file. why: what made it take the file's own window's place."""

    low: float
    high: float
    why: str

    def __call__(self, values: Values) -> Values:
        """Modality values to grey."""
        width = (self.high - self.low) or 1.0  # a flat image is black
        return np.clip((values - self.low) / width, 0, 1)

    def __str__(self) -> str:
        low, high = PERCENTILES
        return f"percentiles {low:g} to {high:g} ({self.low:g} to {self.high:g}); {self.why}"


@dataclass(frozen=True, slots=True)
class Presentation:
    """Grey to what is shown: a table, or the values as they are or inverted. said: what the words add."""

    inverted: bool = False
    table: Table | None = None
    said: str = ""

    def __call__(self, grey: Values) -> Values:
        """Grey to what is shown, both in [0, 1]."""
        if self.table is not None:
            first, count = self.table.first, len(self.table.entries) // 2
            return self.table.shares(first + grey * (count - 1))
        return 1 - grey if self.inverted else grey


Modality = Rescale | Table
View = Window | Shares | Percentiles


@dataclass(frozen=True)
class _Pixels:
    """One file's data set with its decoded pixels. stored: (frames, rows, columns)."""

    dataset: Dataset
    stored: StoredArray
    voi: Voi

    @cached_property
    def coding(self) -> Coding:
        return Coding.of(self.dataset)

    @cached_property
    def presentation(self) -> Presentation:
        return _presentation(self.dataset)

    @cached_property
    def modalities(self) -> list[Modality]:
        """Of each frame."""
        return [self._modality(frame_sources(self.dataset, index)) for index in range(len(self.stored))]

    @property
    def little_endian(self) -> bool:
        return bool(self.dataset.file_meta.TransferSyntaxUID.is_little_endian)

    def view(self, index: int) -> tuple[View, str]:
        """How the modality values of a frame become grey, and what the words add to it.

        The nearest data set that has a table or a valid window counts; of several any may be applied (PS3.3
        C.11.2.1), and the table is the finer one.
        """
        if self.voi.fixed is not None:
            return self.voi.fixed, ", as configured"
        source = next(filter(offers_view, frame_sources(self.dataset, index)), None)
        if source is None or self.voi.ignores_file:
            return self.percentiles, ""
        if has(source, "VOILUTSequence"):
            return Shares(Table.of(source.VOILUTSequence[0], self.little_endian, self._highest(index))), ""
        return next(window for window in windows(source) if window.valid), ""

    @cached_property
    def percentiles(self) -> Percentiles:
        """A window over the middle 99 % of the modality values of all frames, padding left out."""
        frames: dict[Modality, list[int]] = {}
        for index, modality in enumerate(self.modalities):
            frames.setdefault(modality, []).append(index)
        parts = [self._counts(modality, indices) for modality, indices in frames.items()]
        mapped, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        order = np.argsort(mapped)
        share = np.cumsum(counts[order]) / counts.sum() * 100
        low, high = (float(mapped[order][np.searchsorted(share, p)]) for p in PERCENTILES)
        why = "as configured" if self.voi.rule is Rule.PERCENTILE else "the file has no usable window"
        return Percentiles(low, high, why)

    def _counts(self, modality: Modality, frames: list[int]) -> tuple[Values, Values]:
        """Histogram of the frames of one modality mapping: modality values and their counts."""
        stored = self.stored if len(frames) == len(self.stored) else self.stored[frames]
        values, counts = self.coding.counts(stored)
        kept = ~self.coding.is_padding(values)
        if kept.any():
            values, counts = values[kept], counts[kept]
        return modality(values), counts.astype(np.float64)

    def _modality(self, sources: _Sources) -> Modality:
        """Stored value to modality value: LUT, or slope and intercept, or itself (PS3.3 C.11.1)."""
        source = first_with(sources, "ModalityLUTSequence")
        if source is not None and self.dataset.get("SOPClassUID") not in _FLUOROSCOPY:
            return Table.of(source.ModalityLUTSequence[0], self.little_endian, self.coding.bounds[1])
        source = first_with(sources, "RescaleSlope")
        if source is None:
            return Rescale()
        slope, intercept = float(source.RescaleSlope), float(source.get("RescaleIntercept") or 0)
        if not (np.isfinite([slope, intercept]).all() and slope):
            raise DicomReadError("bad-pixels", f"rescale slope {slope}, intercept {intercept}; expected finite, not 0")
        return Rescale(slope, intercept)

    def _highest(self, index: int) -> float:
        """The largest modality value that a frame can hold."""
        modality = self.modalities[index]
        mapped = modality.outputs if isinstance(modality, Table) else modality(np.array(self.coding.bounds, float))
        return float(mapped.max())


def _frames(pixels: _Pixels) -> list[tuple[FloatArray, str]]:
    coding, shown = pixels.coding, pixels.presentation
    done: dict[tuple[Modality, View], tuple[Curve, FloatArray | None]] = {}
    frames = []
    for index, frame in enumerate(pixels.stored):
        modality, (view, said) = pixels.modalities[index], pixels.view(index)
        if (modality, view) not in done:
            curve = _chain(modality, view, shown)
            done[modality, view] = curve, coding.table(curve) if coding.allocated <= 16 else None
        curve, table = done[modality, view]
        frames.append((coding.look_up(frame, curve, table), f"{view}{said}{shown.said}"))
    return frames


def _chain(modality: Modality, view: View, shown: Presentation) -> Curve:
    return lambda values: shown(view(modality(values)))


def _presentation(dataset: Dataset) -> Presentation:
    """What follows the VOI (PS3.3 C.11.6): a table, else the shape, else what MONOCHROME1 says of itself.

    In DX both say it, INVERSE of MONOCHROME1 and IDENTITY of MONOCHROME2 (C.8.11.3.1.2), and one inversion is meant.
    Where they differ the shape holds, as it speaks of the values that leave the pipeline.
    """
    monochrome1 = dataset.PhotometricInterpretation == "MONOCHROME1"
    if has(dataset, "PresentationLUTSequence"):
        little_endian = bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)
        table = Table.of(dataset.PresentationLUTSequence[0], little_endian, highest=float(1 << 16))
        return Presentation(table=table, said=", Presentation LUT")
    shape = str(dataset.get("PresentationLUTShape") or "")
    if shape not in ("IDENTITY", "INVERSE"):
        return Presentation(inverted=monochrome1)
    inverted = shape == "INVERSE"
    return Presentation(inverted, said="" if inverted == monochrome1 else f", Presentation LUT Shape {shape}")
