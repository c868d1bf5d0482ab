"""The pixels of a de-identified copy: decoded, text blanked, unused bits cleared, and described as uncompressed."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radvit.deid.burned_in import BurnedIn, _overwrite, blank_burned_in, find_text
from radvit.dicom.codecs import StoredArray, decode_samples
from radvit.dicom.coding import Coding
from radvit.dicom.colour import as_grey
from radvit.dicom.pixels import decode
from radvit.errors import DeidError, DicomReadError

# Colour models that are written, once decoded with all their samples (PS3.3 C.7.6.3.1.2).
_FULL = {"RGB": "RGB", "YBR_FULL": "YBR_FULL", "YBR_FULL_422": "YBR_FULL"}
_MOST_BYTES = (1 << 32) - 2


def clean_samples(original: Dataset, option: BurnedIn | None) -> tuple[StoredArray, str, tuple[int, ...]]:
    """Decode and, with an option, blank burned-in text; in colour it is looked for in the luminance.

    Returns (frames, rows, columns, samples) as stored, their photometric interpretation, and the number of regions
    blanked in each frame. Raises DicomReadError, or DeidError where the image can't be made safe.
    """
    samples, model = decode_samples(original)
    if samples.shape[-1] > 1:
        model = _FULL.get(model, "")
        if not model:
            raise DicomReadError("not-grayscale", f"a colour model that isn't read; expected {', '.join(_FULL)}")
    if option is None:
        return samples, model, ()
    if samples.shape[-1] == 1 and model.startswith("MONOCHROME"):
        grey, counts = blank_burned_in(samples[..., 0], original, option)
        return grey[..., None], model, counts
    shown = as_grey(original, most_coloured=1.0)
    regions = [find_text(frame, Coding.of(shown)) for frame in decode(shown)]
    if any(map(len, regions)):
        samples = samples.copy()
        for frame, rects in zip(samples, regions, strict=True):
            for channel in range(frame.shape[-1]):
                _overwrite(frame[..., channel], rects, Coding.of(original))
    return samples, model, tuple(map(len, regions))


def describe(safe: Dataset, original: Dataset, samples: StoredArray, model: str) -> StoredArray:
    """Describe samples as uncompressed in a header without any; returns them as they are to be written, little endian.

    The unused bits are cleared. Changes the header in place.
    """
    coding = Coding.of(original)
    size = max(1, coding.allocated // 8)  # single bits decode to a byte each
    pixels = coding.integers(samples).astype(f"<{'i' if coding.signed else 'u'}{size}", copy=False)
    if pixels.nbytes > _MOST_BYTES:
        raise DeidError(f"{pixels.nbytes} bytes of pixels; an uncompressed file holds at most {_MOST_BYTES}")
    if not original.file_meta.TransferSyntaxUID.is_little_endian:
        _swap_tables(safe)
    safe.BitsAllocated = 8 * size
    safe.HighBit = coding.stored - 1
    safe.PhotometricInterpretation = model
    if samples.shape[-1] > 1:
        safe.PlanarConfiguration = 0
    safe.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return np.ascontiguousarray(pixels)


def _swap_tables(safe: Dataset) -> None:
    """Turn look-up tables that stand as big-endian words into little-endian ones. Changes the data set in place."""
    for element in safe.iterall():
        is_table = element.keyword == "LUTData" or element.keyword.endswith("PaletteColorLookupTableData")
        if is_table and isinstance(element.value, bytes) and len(element.value) % 2 == 0:
            element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
