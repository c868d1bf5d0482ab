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
import re
from pathlib import Path

from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import UID, UID_dictionary

from radvit.dicom.directory import find_files as find_files
from radvit.dicom.limits import DEFAULT, check_size
from radvit.dicom.limits import Limits as Limits
from radvit.dicom.parse import only_read_errors, parse
from radvit.errors import DicomReadError

_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(\.[0-9]+)*\Z")
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


def read(path: Path, limits: Limits = DEFAULT) -> Dataset:
    """Read a file that holds an image, grey or colour (`radvit.dicom.colour` decides what becomes of it).

    The pixel data stays encoded.

    Raises DicomReadError, and nothing else, with one of the reasons above; its message never quotes the file.
    """
    with only_read_errors():
        dataset = parse(path, limits)
        _check_header(dataset, limits)
        _check_data(dataset)
    return dataset


def read_header(path: Path, limits: Limits = DEFAULT) -> Dataset:
    """Read what stands before the pixels of a file that holds an image, refusing as `read` does all but the pixels.

    Raises DicomReadError, and nothing else.
    """
    with only_read_errors():
        dataset = parse(path, limits, pixels=False)
        _check_header(dataset, limits)
    return dataset


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
    check_size(max(rows, columns), frames, size, limits)


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
