"""The conformance corpus: values drawn from a fixed seed, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate

from radvit.dicom.voi import Voi

SHAPE = (24, 34)


@dataclass(frozen=True)
class Format:
    """How values are stored. high: HighBit, the top of the stored bits if None. junk: noise above and below them."""

    stored: int
    allocated: int = 16
    signed: bool = False
    high: int | None = None
    frames: int = 1
    photometric: str = "MONOCHROME2"
    junk: bool = False

    @property
    def bounds(self) -> tuple[int, int]:
        half = 1 << (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)

    @property
    def shift(self) -> int:
        return 0 if self.high is None else self.high - self.stored + 1

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(f"u{max(self.allocated, 8) // 8}")


@dataclass(frozen=True)
class Case:
    """One file. expected: (frames, rows, columns), grey in [0, 1]. tolerance: of the codec, as a share of the range."""

    name: str
    dataset: Dataset
    expected: np.ndarray
    tolerance: float = 0.0
    voi: Voi = field(default_factory=Voi)


def values_of(kind: Format, smooth: bool = False) -> np.ndarray:
    """(frames, rows, columns) int64 that reach both ends; smooth ones are kind to lossy codecs."""
    rng = np.random.default_rng([kind.stored, kind.signed, kind.frames])
    low, high = kind.bounds
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / np.array(SHAPE).reshape(2, 1, 1)
    shares = [(np.sin(3 * x + n) * np.cos(2 * y - n) + 1) / 2 for n in range(kind.frames)]
    shares = np.stack(shares) if smooth else np.stack(shares) * 0.7 + 0.3 * rng.random((kind.frames, *SHAPE))
    shares = (shares - shares.min()) / (shares.max() - shares.min())
    return np.rint(low + shares * (high - low)).astype(np.int64)


def codes_of(values: np.ndarray, kind: Format) -> np.ndarray:
    """The stored bits, unsigned integers of the size allocated."""
    codes = (values & ((1 << kind.stored) - 1)) << kind.shift
    if kind.junk:
        used = ((1 << kind.stored) - 1) << kind.shift
        noise = np.random.default_rng(0).integers(0, 1 << kind.allocated, values.shape, dtype=np.int64)
        codes = codes | (noise & ~used)
    return codes.astype(kind.dtype)


def blank_dataset(kind: Format, syntax: uid.UID, **attributes: Any) -> Dataset:
    """A file without pixels whose window spans what can be stored, so that grey is the value's share of the range."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    order = {"is_implicit_VR": syntax.is_implicit_VR, "is_little_endian": syntax.is_little_endian}
    dataset = FileDataset("", Dataset(), preamble=b"\0" * 128, file_meta=meta, **order)
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid.SecondaryCaptureImageStorage, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    dataset.PatientID, dataset.Modality = "ID-7", "OT"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, kind.photometric
    dataset.Rows, dataset.Columns = SHAPE
    dataset.BitsAllocated, dataset.BitsStored = kind.allocated, kind.stored
    dataset.HighBit = kind.stored - 1 if kind.high is None else kind.high
    dataset.PixelRepresentation = int(kind.signed)
    if kind.frames > 1:
        dataset.NumberOfFrames = kind.frames
    low, high = kind.bounds
    dataset.WindowCenter, dataset.WindowWidth = f"{(low + high) / 2:.12g}", str(high - low)
    dataset.VOILUTFunction = "LINEAR_EXACT"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def native(codes: np.ndarray, kind: Format, syntax: uid.UID = uid.ExplicitVRLittleEndian, **attributes: Any) -> Dataset:
    dataset = blank_dataset(kind, syntax, **attributes)
    if kind.allocated == 1:
        data = np.packbits(codes.ravel(), bitorder="little").tobytes()
    else:
        data = codes.astype(codes.dtype.newbyteorder("<" if syntax.is_little_endian else ">")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if kind.allocated > 8 or syntax.is_implicit_VR else "OB"
    return dataset


def compressed(frames: list[bytes], kind: Format, syntax: uid.UID, **attributes: Any) -> Dataset:
    dataset = blank_dataset(kind, syntax, **attributes)
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def share(values: np.ndarray, kind: Format) -> np.ndarray:
    low, high = kind.bounds
    grey = (values - low) / max(high - low, 1)
    return 1 - grey if kind.photometric == "MONOCHROME1" else grey
