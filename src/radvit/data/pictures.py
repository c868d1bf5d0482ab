"""Pictures that aren't DICOM, as data sets that all else treats as DICOM: PNG, JPEG, TIFF, NIfTI and MetaImage.

The data set is a Secondary Capture that holds the pixels and, where the format truly tells them, their size and place.
There is no patient and no study, so the file's content stands in for both: the same content gives the same UIDs.
Nothing of the metadata (EXIF, text, comments, descriptions) is taken over, and EXIF's rotation isn't applied.

    pixels      8 bits as they are, 16 bits as they are, all else as 16 bits with a slope and an intercept
    window      the whole range for pictures of 8 bits; none for all else, so that percentiles apply
    spacing     NIfTI, MetaImage: PixelSpacing. TIFF and PNG: NominalScannedPixelSpacing, unless the resolution is
                one of those that programs write without knowing any, such as 72 or 300 dots an inch. JPEG: none,
                since its resolution is hardly ever anything else.
    volumes     turned so that frames are axial slices from the feet to the head, each with its place
"""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pydicom.valuerep import format_number_as_ds

from radvit.data.picture_kinds import Kind, Promise, examine, picture_kind
from radvit.dicom.limits import DEFAULT, Limits, check_size
from radvit.errors import DicomReadError

# The reader of SimpleITK for each kind, and the suffix without which niftilib doesn't look into a file.
_READERS = {
    Kind.PNG: ("PNGImageIO", ".png"),
    Kind.JPEG: ("JPEGImageIO", ".jpg"),
    Kind.TIFF: ("TIFFImageIO", ".tif"),
    Kind.NIFTI: ("NiftiImageIO", ".nii"),
    Kind.NIFTI_GZ: ("NiftiImageIO", ".nii"),
    Kind.META: ("MetaImageIO", ".mha"),
}
_VOLUMES = (Kind.NIFTI, Kind.NIFTI_GZ, Kind.META)
_CHUNK = 1 << 20
_TOP = 65535  # of 16 bits

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a volume lies: axes (3, 3), their columns the directions of x, y, z in LPS; step (3,) in mm along each."""

    origin: Array
    axes: Array
    step: Array


@dataclass(frozen=True, slots=True)
class _Picture:
    """values: (frames, rows, columns) or, in colour, (frames, rows, columns, 3)."""

    values: Array
    promise: Promise
    kind: Kind
    spacing_mm: tuple[float, float] | None = None
    place: _Place | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """Values as they are stored: pixels of 8 or 16 bits. padding: the one that stands for no number."""

    pixels: Array
    slope: float = 1.0
    intercept: float = 0.0
    padding: int | None = None


def read_picture(path: Path, limits: Limits = DEFAULT) -> Dataset:
    """Read a picture as a data set, explicit little endian, uncompressed, of modality OT.

    Raises DicomReadError (`bad-picture`, `truncated`, `too-large`, `memory`, `not-a-file`), and nothing else.
    """
    with _only_picture_errors():
        size = path.stat().st_size
        if size > limits.file_bytes:
            raise DicomReadError("too-large", f"file of {size} bytes; the limit is {limits.file_bytes}")
        kind = picture_kind(path)
        if kind is None:
            raise DicomReadError("bad-picture", "no picture; expected PNG, JPEG, TIFF, NIfTI or MetaImage")
        with _named(path, kind, limits) as named:
            promise = examine(named, kind, limits)
            with _silent():
                picture = _faded(named, promise, limits) if promise.faded else _decoded(named, promise, kind, limits)
        return _dataset(picture, content_uids(path))


def content_uids(path: Path) -> tuple[str, str, str]:
    """Study, series and SOP instance UID of a picture: the hash of its content in the form of PS3.5 B.2.

    Raises DicomReadError (`not-a-file`).
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DicomReadError("not-a-file", f"can't read the file: {type(error).__name__}") from None
    study, series, image = (hashlib.sha256(part + digest).digest()[:16] for part in (b"study", b"series", b"image"))
    return f"2.25.{int.from_bytes(study)}", f"2.25.{int.from_bytes(series)}", f"2.25.{int.from_bytes(image)}"


@contextmanager
def _only_picture_errors() -> Iterator[None]:
    """Turn whatever hostile bytes can raise into a DicomReadError that doesn't quote the file."""
    try:
        yield
    except DicomReadError:
        raise
    except MemoryError:
        raise DicomReadError("memory", "reading the picture needs more memory than there is") from None
    except OSError as error:
        raise DicomReadError("not-a-file", f"can't read the file: {type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001 - its text may quote the file
        if any(word in str(error) for word in ("bad_alloc", "allocate memory", "Insufficient memory")):
            raise DicomReadError("memory", "reading the picture needs more memory than there is") from None
        raise DicomReadError("bad-picture", f"the picture can't be read: {type(error).__name__}") from None


@contextmanager
def _named(path: Path, kind: Kind, limits: Limits) -> Iterator[Path]:
    """The file under a name of our own with the suffix of its kind, inflated where it is compressed as a whole."""
    with tempfile.TemporaryDirectory(prefix="radvit-") as folder:
        named = Path(folder) / f"picture{_READERS[kind][1]}"
        if kind is Kind.NIFTI_GZ:
            _inflate(path, named, limits)
        else:
            named.symlink_to(path.resolve())
        yield named


def _inflate(path: Path, named: Path, limits: Limits) -> None:
    size = 0
    try:
        with gzip.open(path) as deflated, named.open("wb") as file:
            while chunk := deflated.read(_CHUNK):
                size += len(chunk)
                if size > limits.inflated_bytes:
                    raise DicomReadError(
                        "too-large", f"inflates to more than the limit of {limits.inflated_bytes} bytes"
                    )
                file.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DicomReadError("truncated", "the compressed picture is damaged or ends early") from None


@contextmanager
def _silent() -> Iterator[None]:
    """Hold back what ITK, libtiff, libpng, libjpeg and niftilib print past Python; not all of it has a switch."""
    try:
        kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    except OSError:  # closed, so that nothing can be printed
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream, _ in kept:
        os.dup2(nowhere, stream)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # some of it waits in C's own buffer
        for stream, copy in kept:
            os.dup2(copy, stream)
            os.close(copy)
        os.close(nowhere)


def _decoded(named: Path, promise: Promise, kind: Kind, limits: Limits) -> _Picture:
    """Let SimpleITK decode, once the size that it has read from the header is within the limits."""
    import SimpleITK as sitk  # noqa: N813 - its usual name; a third of a second, which only those pay who read pictures

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READERS[kind][0])
    reader.SetFileName(str(named))
    reader.ReadImageInformation()
    size, components = reader.GetSize(), reader.GetNumberOfComponents()
    probe = sitk.GetArrayViewFromImage(sitk.Image([1] * len(size), reader.GetPixelID(), components))
    _check_size(size if kind is Kind.TIFF else tuple(sorted(size, reverse=True)), components, probe.dtype, limits)
    volume = kind in _VOLUMES
    if probe.dtype.kind not in "iuf" or not _fits(components, probe.dtype, volume) or not 2 <= len(size) <= 3:
        raise DicomReadError("bad-picture", f"{components} values a pixel of {probe.dtype} in {len(size)} dimensions")
    image = reader.Execute()
    if len(size) == 3 and volume:
        image = sitk.DICOMOrient(image, "LPS")
        _check_size(image.GetSize(), components, probe.dtype, limits)
    values = sitk.GetArrayFromImage(image)  # (z, y, x[, c]) or (y, x[, c])
    if len(size) == 2:
        values = values[np.newaxis]
    if not volume:
        return _Picture(values[..., 0:3] if components > 1 else values, promise, kind, promise.spacing_mm)
    step = np.array(image.GetSpacing())
    spacing = (float(step[1]), float(step[0])) if promise.spaced else None
    place = (
        _Place(np.array(image.GetOrigin()), np.array(image.GetDirection()).reshape(3, 3), step)
        if len(size) == 3
        else None
    )
    return _Picture(values, promise, kind, spacing, place)


def _fits(components: int, dtype: np.dtype[Any], volume: bool) -> bool:
    """One value a pixel; in a flat picture, also three, or three and transparency, of 8 or 16 bits."""
    return components == 1 or (not volume and components in (3, 4) and dtype in (np.uint8, np.uint16))


def _check_size(size: tuple[int, ...], components: int, dtype: np.dtype[Any], limits: Limits) -> None:
    bytes_ = int(np.prod([int(side) for side in size], dtype=object)) * components * dtype.itemsize
    frames = size[2] if len(size) > 2 else 1
    check_size(max(size[:2]), frames, bytes_, limits)


def _faded(named: Path, promise: Promise, limits: Limits) -> _Picture:
    """Grey with transparency, which SimpleITK refuses: OpenCV gives the grey of it."""
    content = np.fromfile(named, np.uint8)
    width, height, bits = (int.from_bytes(content[a:b].tobytes()) for a, b in ((16, 20), (20, 24), (24, 25)))
    _check_size((width, height), 2, np.dtype(np.uint16 if bits == 16 else np.uint8), limits)
    grey = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if grey is None or grey.shape != (height, width):
        raise DicomReadError("bad-picture", "the picture can't be read")
    return _Picture(grey[np.newaxis], promise, Kind.PNG, promise.spacing_mm)


def _dataset(picture: _Picture, uids: tuple[str, str, str]) -> Dataset:
    stored = _stored(picture.values)
    dataset = _empty(_sop_class(stored.pixels), *uids)
    _pixels(dataset, stored, picture.promise.inverted)
    if stored.pixels.dtype == np.uint8 and picture.place is None:
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = "127.5", "255", "LINEAR_EXACT"
    if (stored.slope, stored.intercept) != (1.0, 0.0):
        dataset.RescaleSlope, dataset.RescaleIntercept = _ds(stored.slope), _ds(stored.intercept)
        dataset.RescaleType = "US"
    if picture.place is not None:
        _put(dataset, picture.place, picture.spacing_mm, len(stored.pixels))
    elif picture.spacing_mm is not None:
        keyword = "PixelSpacing" if picture.kind in _VOLUMES else "NominalScannedPixelSpacing"
        setattr(dataset, keyword, [_ds(value) for value in picture.spacing_mm])
    return dataset


def _empty(sop_class: str, study: str, series: str, image: str) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, image
    dataset = FileDataset("", Dataset(), b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, image
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.Modality, dataset.ConversionType = "OT", "WSD"  # workstation, PS3.3 C.8.6.1
    return dataset


def _sop_class(pixels: Array) -> str:
    grey = {
        np.dtype(np.uint8): MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    }.get(pixels.dtype, MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
    several = MultiFrameTrueColorSecondaryCaptureImageStorage if pixels.ndim == 4 else grey
    return str(several if len(pixels) > 1 else SecondaryCaptureImageStorage)


def _pixels(dataset: Dataset, stored: _Stored, inverted: bool) -> None:
    """Image Pixel (PS3.3 C.7.6.3)."""
    pixels = stored.pixels
    frames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    grey = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 4 else grey
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    bits = 8 * pixels.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if stored.padding is not None:
        dataset.PixelPaddingValue = stored.padding
    data = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def _put(dataset: Dataset, place: _Place, spacing_mm: tuple[float, float] | None, frames: int) -> None:
    """Size and place of each slice, in functional groups (PS3.3 C.7.6.16.2.1, 2.3 and 2.4)."""
    shared, orientation = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [_ds(value) for value in (*place.axes[:, 0], *place.axes[:, 1])]
    shared.PlaneOrientationSequence = [orientation]
    if spacing_mm is not None:
        measures = Dataset()
        measures.PixelSpacing = [_ds(value) for value in spacing_mm]
        measures.SpacingBetweenSlices = _ds(place.step[2])
        shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_slice(place, number) for number in range(frames)]


def _slice(place: _Place, number: int) -> Dataset:
    group, position = Dataset(), Dataset()
    position.ImagePositionPatient = [_ds(v) for v in place.origin + number * place.step[2] * place.axes[:, 2]]
    group.PlanePositionSequence = [position]
    return group


def _ds(value: float) -> str:
    """A number in at most 16 characters (PS3.5 6.2). Raises ValueError where it is none."""
    return str(format_number_as_ds(float(value) + 0.0))  # no negative zero


def _stored(values: Array) -> _Stored:
    """Values as integers of 8 or 16 bits that give them back, exactly where they are whole numbers that fit."""
    if values.dtype in (np.uint8, np.uint16, np.int16):
        return _Stored(values)
    if values.dtype == np.int8:
        return _Stored(values.astype(np.int16))
    holes = values.dtype.kind == "f" and not np.isfinite(values).all()
    low, high = _range(values) if holes else (values.min().item(), values.max().item())
    first = 1 if holes else 0  # the lowest stored value; 0 stands for what isn't finite
    span = float(high) - float(low)
    if not np.isfinite(span):
        raise DicomReadError("bad-picture", "values that are too far apart to be told by 16 bits")
    whole = values.dtype.kind != "f" or all((frame[np.isfinite(frame)] % 1 == 0).all() for frame in values)
    slope = 1.0 if whole and span <= _TOP - first else span / (_TOP - first) or 1.0
    pixels = np.zeros(values.shape, np.uint16)
    for frame, out in zip(values, pixels, strict=True):  # one at a time, for the sake of memory
        steps = np.rint((frame.astype(np.float64) - low) / slope) + first
        out[...] = np.where(np.isfinite(steps), np.clip(steps, 0, _TOP), 0).astype(np.uint16)
    return _Stored(pixels, slope, float(low) - first * slope, 0 if holes else None)


def _range(values: Array) -> tuple[float, float]:
    """Lowest and highest finite value. Raises DicomReadError where there is none."""
    finite = [frame[np.isfinite(frame)] for frame in values]
    if not any(part.size for part in finite):
        raise DicomReadError("bad-picture", "no finite value in the picture")
    return (
        float(min(part.min() for part in finite if part.size)),
        float(max(part.max() for part in finite if part.size)),
    )
