"""Guarded reading: a file becomes a pydicom.Dataset that holds a grey image of sane size, or a DicomReadError.

Reasons, as they stand in manifests:
    not-a-file      nothing there, or it can't be opened
    not-dicom       no DICM prefix
    too-large       above one of `Limits`
    truncated       fewer bytes than the header promises
    bad-syntax      a transfer syntax that is missing, unknown, or for which no decoder is installed
    bad-header      an attribute that every image needs is missing or malformed
    not-an-image    an object of another kind, named in the message: segmentation, report, structure set, directory, ...
    no-pixels       an image object without integer pixel data
    not-grayscale   colour
    decode-failed   compressed pixel data that the decoder refuses
    bad-pixels      grey values that can't be mapped as the header says
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, UID_dictionary

from radvit.dicom.quiet import silence_pydicom
from radvit.errors import DicomReadError

silence_pydicom()

_UID = re.compile(r"[0-9.]{1,64}\Z")
_PREFIX_BYTES = 132  # preamble and "DICM", PS3.10 7.1
_GREY = ("MONOCHROME1", "MONOCHROME2")
_GREY_BITS = (8, 16, 32)

# Roots of SOP classes (PS3.4 B.5) that hold something else than a picture, longest match first.
_NOT_IMAGES = {
    "1.2.840.10008.1.3.10": "a media directory (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.9.": "a waveform",
    "1.2.840.10008.5.1.4.1.1.11.": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
    "1.2.840.10008.5.1.4.1.1.66": "raw data or a registration",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.5": "a surface segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.67": "a real world value mapping",
    "1.2.840.10008.5.1.4.1.1.68": "a surface scan",
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.481.3": "a radiotherapy structure set",
    "1.2.840.10008.5.1.4.1.1.481": "a radiotherapy plan or record",
}
_RT_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too large to read. Counted before anything is decoded, so that no file can ask for all memory.

    file_bytes: size on disk, and of a deflated file once inflated. samples: rows x columns x frames.
    """

    file_bytes: int = 1 << 30
    samples: int = 1 << 27
    frames: int = 4096
    side: int = 32768


def find_files(path: Path) -> list[Path]:
    """Every regular file below a folder that isn't hidden, sorted by relative path; a file alone gives itself.

    Links to folders are not followed. Raises DicomReadError (`not-a-file`) where there is nothing.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DicomReadError("not-a-file", "no file or folder at the given path")
    found: list[Path] = []
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if not name.startswith(".")]
        found.extend(Path(folder) / name for name in files if not name.startswith("."))
    return sorted((file for file in found if file.is_file()), key=lambda file: file.relative_to(path).as_posix())


def read(path: Path, limits: Limits = Limits()) -> Dataset:
    """Read a file that holds a grey image. The pixel data stays encoded.

    Raises DicomReadError, and nothing else, with one of the reasons above; its message never quotes the file.
    """
    try:
        dataset = _parse(path, limits)
        _check(dataset, limits)
    except DicomReadError:
        raise
    except InvalidDicomError:
        raise DicomReadError("not-dicom", "no DICM prefix at byte 128; expected a DICOM file") from None
    except OSError as error:
        reason = "truncated" if isinstance(error, EOFError) else "not-a-file"
        raise DicomReadError(reason, f"can't read the file: {type(error).__name__}") from None
    except EOFError:
        raise DicomReadError("truncated", "the file ends within an element") from None
    except Exception as error:  # noqa: BLE001 - a parser on hostile bytes can raise anything; its text may quote the file
        raise DicomReadError("bad-header", f"the header can't be parsed: {type(error).__name__}") from None
    return dataset


def _parse(path: Path, limits: Limits) -> Dataset:
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise DicomReadError("too-large", f"file of {size} bytes; the limit is {limits.file_bytes}")
    if not path.is_file():
        raise DicomReadError("not-a-file", "not a regular file")
    with path.open("rb") as file:
        start = file.read(_PREFIX_BYTES)
        if len(start) < _PREFIX_BYTES or start[128:] != b"DICM":
            raise DicomReadError("not-dicom", "no DICM prefix at byte 128; expected a DICOM file")
        file.seek(0)
        _check_inflated(file, path, limits)
        file.seek(0)
        return dcmread(file)


def _check_inflated(file: BinaryIO, path: Path, limits: Limits) -> None:
    """Refuse a deflated file that would inflate past the limit (PS3.5 A.5)."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    if "FileMetaInformationGroupLength" not in meta:
        raise DicomReadError("bad-header", "deflated file without a file meta group length")
    # The group length counts what follows its own 12 bytes.
    file.seek(_PREFIX_BYTES + 12 + meta.FileMetaInformationGroupLength)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(file.read(), limits.file_bytes)
    if inflater.unconsumed_tail:
        raise DicomReadError("too-large", f"inflates to more than the limit of {limits.file_bytes} bytes")


def _check(dataset: Dataset, limits: Limits) -> None:
    sop_class = str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")
    _check_kind(sop_class)
    if "PixelData" not in dataset:
        what = "floating point pixels" if {"FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()) else "none"
        raise DicomReadError("no-pixels", f"pixel data: {what}; expected integers in (7FE0,0010)")
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not _UID.match(str(dataset.get(keyword) or "")):
            raise DicomReadError("bad-header", f"{keyword} is missing or no UID; expected digits and dots")
    _check_grey(dataset)
    _check_size(dataset, limits)
    _check_syntax(dataset)
    _check_length(dataset)


def _check_kind(sop_class: str) -> None:
    roots = [root for root in _NOT_IMAGES if sop_class.startswith(root)]
    if roots and sop_class != _RT_IMAGE:
        raise DicomReadError("not-an-image", f"{_NOT_IMAGES[max(roots, key=len)]}; expected an image")
    if sop_class not in UID_dictionary:
        raise DicomReadError(
            "bad-header", "SOP Class is missing or not in the standard; expected an image storage class"
        )


def _check_grey(dataset: Dataset) -> None:
    photometric, samples = str(dataset.get("PhotometricInterpretation")), dataset.get("SamplesPerPixel", 1)
    if photometric not in _GREY or samples != 1:
        raise DicomReadError("not-grayscale", "a colour image; expected MONOCHROME1 or MONOCHROME2 with 1 sample")
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in _GREY_BITS or not 1 <= stored <= allocated:
        raise DicomReadError("bad-header", f"{stored} bits stored in {allocated}; expected at most 8, 16 or 32")
    high = int(dataset.get("HighBit", stored - 1))
    if not stored - 1 <= high < allocated or dataset.get("PixelRepresentation", 0) not in (0, 1):
        raise DicomReadError("bad-header", "HighBit or PixelRepresentation contradicts the bits stored")


def _check_size(dataset: Dataset, limits: Limits) -> None:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = frame_count(dataset)
    if rows < 1 or columns < 1 or frames < 1:
        raise DicomReadError("bad-header", f"{frames} frames of {rows} x {columns} pixels; expected at least one pixel")
    if max(rows, columns) > limits.side or frames > limits.frames or rows * columns * frames > limits.samples:
        raise DicomReadError("too-large", f"{frames} frames of {rows} x {columns} pixels; the limit is {limits}")


def frame_count(dataset: Dataset) -> int:
    """Number of frames; an absent or empty NumberOfFrames means one (PS3.3 C.7.6.6). Raises ValueError if malformed."""
    value = dataset.get("NumberOfFrames")
    return 1 if value in (None, "") else int(str(value))


def _check_syntax(dataset: Dataset) -> None:
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID") or ""))
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    if not known:
        name = UID_dictionary[syntax][0] if syntax in UID_dictionary else "missing or unknown"
        raise DicomReadError("bad-syntax", f"transfer syntax: {name}; no decoder for it is installed")


def _check_length(dataset: Dataset) -> None:
    data = dataset["PixelData"].value
    if not isinstance(data, bytes) or not data:
        raise DicomReadError("no-pixels", "empty pixel data")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    expected = dataset.Rows * dataset.Columns * frame_count(dataset) * dataset.BitsAllocated // 8
    if len(data) < expected:
        raise DicomReadError("truncated", f"{len(data)} bytes of pixel data; expected {expected}")
