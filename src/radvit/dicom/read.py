"""Guarded reading: a file becomes a pydicom.Dataset that holds an image of sane size, or a DicomReadError.

Reasons, as they stand in manifests, of reading and of what follows it:
    not-a-file      nothing there, or it can't be opened
    not-dicom       no DICM prefix
    too-large       above one of `Limits`
    truncated       fewer bytes than the header promises
    too-deep        sequences nested deeper than `Limits.depth`
    bad-syntax      a transfer syntax that is missing, unknown, or for which no decoder is installed
    bad-header      an attribute that every image needs is missing or malformed
    not-an-image    an object of another kind, named in the message: segmentation, report, structure set, directory, ...
    no-pixels       an image object without integer pixel data
    not-grayscale   truly coloured, or a colour space that isn't read
    decode-failed   compressed pixel data that the decoder refuses
    bad-pixels      grey values that can't be mapped as the header says
    bad-picture     a PNG, JPEG, TIFF, NIfTI or MetaImage file that can't be read
    not-selected    outside of the selection rules
    memory          needed more memory than its worker may use
    timeout         took longer than its worker may take
    crashed         ended the worker process that read it
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    UID_dictionary,
)

from radvit.dicom.limits import DEFAULT
from radvit.dicom.limits import Limits as Limits
from radvit.dicom.quiet import silence_pydicom
from radvit.dicom.structure import EXPLICIT_LITTLE, Encoding, check_structure, group_end
from radvit.errors import DicomReadError

silence_pydicom()

_UID = re.compile(r"[0-9.]{1,64}\Z")
_PREFIX_BYTES = 132  # preamble and "DICM", PS3.10 7.1
_META_GROUP = 0x0002
_META_BYTES = 1 << 20  # of the file meta group, in practice some 200
_INFLATED_CHUNK = 1 << 20
_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # double, float and integer
# Photometric Interpretations (PS3.3 C.7.6.3.1.2) that are read, with their samples per pixel.
_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
# Samples a pixel where chroma is stored for every other pixel, or for every fourth (PS3.3 C.7.6.3.1.2).
_SUBSAMPLED = {"YBR_FULL_422": 2.0, "YBR_PARTIAL_422": 2.0, "YBR_PARTIAL_420": 1.5}
_BITS = {1: (1, 8, 16, 32), 3: (8, 16, 32)}  # allocated, by samples per pixel
_PALETTE_BITS = (8, 16)

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


def read(path: Path, limits: Limits = DEFAULT) -> Dataset:
    """Read a file that holds an image, grey or colour (`radvit.dicom.colour` decides what becomes of it).

    The pixel data stays encoded.

    Raises DicomReadError, and nothing else, with one of the reasons above; its message never quotes the file.
    """
    with only_read_errors():
        dataset = _parse(path, limits)
        _check_header(dataset, limits)
        _check_data(dataset)
    return dataset


def read_header(path: Path, limits: Limits = DEFAULT) -> Dataset:
    """Read what stands before the pixels of a file that holds an image, refusing as `read` does all but the pixels.

    Raises DicomReadError, and nothing else.
    """
    with only_read_errors():
        dataset = _parse(path, limits, pixels=False)
        _check_header(dataset, limits)
    return dataset


def read_attributes(path: Path, keywords: tuple[str, ...], limits: Limits = DEFAULT) -> Dataset:
    """Read these attributes alone, where the file has them, of a file of any kind: the quickest look into it.

    The structure is guarded as in `read`; nothing else is checked. Raises DicomReadError, and nothing else.
    """
    tags = [BaseTag(tag) for tag in map(tag_for_keyword, keywords) if tag is not None]
    with only_read_errors():
        return _parse(path, limits, pixels=False, tags=tags)


@contextmanager
def only_read_errors() -> Iterator[None]:
    """Turn whatever a parser on hostile bytes can raise into a DicomReadError that doesn't quote the file."""
    try:
        yield
    except DicomReadError:
        raise
    except MemoryError:
        raise DicomReadError("memory", "reading the header needs more memory than there is") from None
    except RecursionError:
        raise DicomReadError("too-deep", "sequences nested too deep to be parsed") from None
    except EOFError:
        raise DicomReadError("truncated", "the file ends within an element") from None
    except OSError as error:
        raise DicomReadError("not-a-file", f"can't read the file: {type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001 - its text may quote the file
        raise DicomReadError("bad-header", f"the header can't be parsed: {type(error).__name__}") from None


def _parse(path: Path, limits: Limits, pixels: bool = True, tags: list[BaseTag] | None = None) -> Dataset:
    """Walk a file's structure, then let pydicom parse it, with the same idea of where its parts begin and end."""
    size = path.stat().st_size
    if not path.is_file():
        raise DicomReadError("not-a-file", "not a regular file")
    if size > limits.file_bytes:
        raise DicomReadError("too-large", f"file of {size} bytes; the limit is {limits.file_bytes}")
    with path.open("rb") as file:
        preamble = file.read(_PREFIX_BYTES)
        if len(preamble) < _PREFIX_BYTES or preamble[128:] != b"DICM":
            raise DicomReadError("not-dicom", "no DICM prefix at byte 128; expected a DICOM file")
        meta, stream, start = _open_data_set(file, limits)
        encoding = _encoding(meta)
        check_structure(stream, encoding, limits, start)
        stream.seek(start)
        stop = None if pixels else _at_pixels
        body = read_dataset(stream, encoding.implicit, encoding.little, stop_when=stop, specific_tags=list(tags or []))
    dataset = FileDataset("", body, preamble[:128], meta, encoding.implicit, encoding.little)
    dataset.set_original_encoding(encoding.implicit, encoding.little, body.original_character_set)
    return dataset


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag in _PIXEL_TAGS


def _open_data_set(file: BinaryIO, limits: Limits) -> tuple[FileMetaDataset, BinaryIO, int]:
    """The file meta group, a stream that holds the data set, and the byte at which it begins there."""
    end = group_end(file, _PREFIX_BYTES, _META_GROUP, limits)
    if end - _PREFIX_BYTES > _META_BYTES:
        raise DicomReadError("too-large", f"file meta group of {end - _PREFIX_BYTES} bytes; the limit is {_META_BYTES}")
    file.seek(_PREFIX_BYTES)
    raw = BytesIO(file.read(end - _PREFIX_BYTES))
    meta = FileMetaDataset(read_dataset(raw, EXPLICIT_LITTLE.implicit, EXPLICIT_LITTLE.little))
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return meta, file, end
    file.seek(end)
    return meta, BytesIO(_inflate(file.read(), limits)), 0


def _encoding(meta: FileMetaDataset) -> Encoding:
    """How the data set is written; all but three syntaxes are explicit little endian (PS3.5 A.4)."""
    syntax = meta.get("TransferSyntaxUID")
    return Encoding(syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)


def _inflate(deflated: bytes, limits: Limits) -> bytes:
    """Inflate a data set (PS3.5 A.5), having first counted what will come out without keeping it."""
    inflater, rest, size = zlib.decompressobj(-zlib.MAX_WBITS), deflated, 0
    try:
        while rest and not inflater.eof:
            size += len(inflater.decompress(rest, _INFLATED_CHUNK))
            rest = inflater.unconsumed_tail
            if size > limits.inflated_bytes:
                raise DicomReadError("too-large", f"inflates to more than the limit of {limits.inflated_bytes} bytes")
        return zlib.decompress(deflated, -zlib.MAX_WBITS, max(size, 1))
    except zlib.error:
        raise DicomReadError("truncated", "the deflated data set is damaged or ends early") from None


def _check_header(dataset: Dataset, limits: Limits) -> None:
    sop_class = str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")
    _check_kind(sop_class)
    if "Rows" not in dataset:
        raise DicomReadError("no-pixels", "no rows and columns; expected an image")
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not _UID.match(str(dataset.get(keyword) or "")):
            raise DicomReadError("bad-header", f"{keyword} is missing or no UID; expected digits and dots")
    _check_samples(dataset)
    _check_size(dataset, limits)
    _check_syntax(dataset)


def _check_kind(sop_class: str) -> None:
    roots = [root for root in _NOT_IMAGES if sop_class.startswith(root)]
    if roots and sop_class != _RT_IMAGE:
        raise DicomReadError("not-an-image", f"{_NOT_IMAGES[max(roots, key=len)]}; expected an image")
    if sop_class not in UID_dictionary:
        raise DicomReadError(
            "bad-header", "SOP Class is missing or not in the standard; expected an image storage class"
        )


def _check_samples(dataset: Dataset) -> None:
    """Check that photometric interpretation, samples and bits are of a kind that is read, and agree."""
    photometric, samples = str(dataset.get("PhotometricInterpretation")), int(dataset.get("SamplesPerPixel", 1))
    expected = _SAMPLES.get(photometric)
    if expected is None:
        raise DicomReadError("not-grayscale", f"photometric interpretation that isn't one of {', '.join(_SAMPLES)}")
    if samples != expected:
        raise DicomReadError("bad-header", f"{samples} samples a pixel in {photometric}; expected {expected}")
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    allowed = _PALETTE_BITS if photometric == "PALETTE COLOR" else _BITS[samples]
    if allocated not in allowed or not 1 <= stored <= allocated:
        raise DicomReadError("bad-header", f"{stored} bits stored in {allocated}; expected at most one of {allowed}")
    high = int(dataset.get("HighBit", stored - 1))
    if not stored - 1 <= high < allocated or dataset.get("PixelRepresentation", 0) not in (0, 1):
        raise DicomReadError("bad-header", "HighBit or PixelRepresentation contradicts the bits stored")


def _check_size(dataset: Dataset, limits: Limits) -> None:
    rows, columns, frames = int(dataset.Rows), int(dataset.Columns), frame_count(dataset)
    if rows < 1 or columns < 1 or frames < 1:
        raise DicomReadError("bad-header", f"{frames} frames of {rows} x {columns} pixels; expected at least one pixel")
    samples = int(dataset.get("SamplesPerPixel", 1))
    size = rows * columns * frames * samples * max(1, int(dataset.BitsAllocated) // 8)  # a single bit decodes to a byte
    if max(rows, columns) > limits.side or frames > limits.frames or size > limits.pixel_bytes:
        raise DicomReadError(
            "too-large", f"{frames} frames of {rows} x {columns} pixels, {size} bytes; the limit is {limits}"
        )


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


def _check_data(dataset: Dataset) -> None:
    """Check that there is pixel data, and as much as the header promises."""
    if "PixelData" not in dataset:
        floats = "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
        what = "floating point pixels" if floats else "none"
        raise DicomReadError("no-pixels", f"pixel data: {what}; expected integers in (7FE0,0010)")
    data = dataset["PixelData"].value
    if not isinstance(data, bytes) or not data:
        raise DicomReadError("no-pixels", "empty pixel data")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    samples = _SUBSAMPLED.get(dataset.PhotometricInterpretation, _SAMPLES[dataset.PhotometricInterpretation])
    values = int(dataset.Rows) * int(dataset.Columns) * frame_count(dataset) * samples
    expected = math.ceil(values * int(dataset.BitsAllocated) / 8)
    if len(data) < expected:
        raise DicomReadError("truncated", f"{len(data)} bytes of pixel data; expected {expected}")
