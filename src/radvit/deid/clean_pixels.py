"""The pixels of a de-identified copy: decoded, text blanked, unused bits cleared, and described as uncompressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radvit.deid.burned_in import Blanked, BurnedIn, Mode, blank_burned_in, overwrite
from radvit.deid.header_words import identity_words
from radvit.dicom.codecs import StoredArray, decode_samples
from radvit.dicom.coding import Coding
from radvit.dicom.colour import as_grey
from radvit.dicom.pixels import decode
from radvit.errors import DeidError, DicomReadError

# Colour models that are written, once decoded with all their samples (PS3.3 C.7.6.3.1.2).
_FULL = {"RGB": "RGB", "YBR_FULL": "YBR_FULL", "YBR_FULL_422": "YBR_FULL"}
_MOST_BYTES = (1 << 32) - 2


@dataclass(frozen=True, slots=True)
class Cleaned:
    """samples: (frames, rows, columns, samples), as stored. model: their photometric interpretation.

    searched: whether text was looked for. blanked, allowed: the number of regions overwritten, and of lines that stay.
    """

    samples: StoredArray
    model: str
    searched: bool = False
    blanked: int = 0
    allowed: int = 0


def clean_samples(original: Dataset, option: BurnedIn) -> Cleaned:
    """Decode and, as the option says, blank burned-in text; in colour it is looked for in the luminance.

    Raises DicomReadError, or DeidError where the image can't be made safe.
    """
    samples, model = decode_samples(original)
    if samples.shape[-1] > 1:
        model = _FULL.get(model, "")
        if not model:
            raise DicomReadError("not-grayscale", f"a colour model that isn't read; expected {', '.join(_FULL)}")
    if option.mode is Mode.OFF:
        return Cleaned(samples, model)
    words = identity_words(original)
    if model.startswith("MONOCHROME"):
        found = blank_burned_in(samples[..., 0], original, option, words)
        return Cleaned(found.pixels[..., None], model, found.searched, sum(found.counts), found.kept)
    shown = as_grey(original, most_coloured=1.0)
    found = blank_burned_in(decode(shown), shown, option, words)
    if any(found.counts):
        samples = _blanked(samples, found, Coding.of(original))
    return Cleaned(samples, model, found.searched, sum(found.counts), found.kept)


def _blanked(samples: StoredArray, found: Blanked, coding: Coding) -> StoredArray:
    """A copy in which each channel is overwritten by itself."""
    samples = samples.copy()
    for frame, boxes in zip(samples, found.regions, strict=True):
        for channel in range(frame.shape[-1]):
            overwrite(frame[..., channel], np.array(boxes, np.int64).reshape(-1, 4), coding)
    return samples


def to_little_endian(safe: Dataset, original: Dataset) -> None:
    """Turn words that stand in byte values of a big-endian file's header around. Changes the header in place."""
    if not original.file_meta.TransferSyntaxUID.is_little_endian:
        for element in safe.iterall():
            if _is_of_words(element) and isinstance(element.value, bytes) and len(element.value) % 2 == 0:
                element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()


def describe(safe: Dataset, original: Dataset, cleaned: Cleaned) -> StoredArray:
    """Describe samples as uncompressed in a header without any; returns them as they are to be written, little endian.

    The unused bits are cleared, in the padding value too. Changes the header in place.
    """
    coding = Coding.of(original)
    size = max(1, coding.allocated // 8)  # single bits decode to a byte each
    pixels = coding.integers(cleaned.samples).astype(f"<{'i' if coding.signed else 'u'}{size}", copy=False)
    if pixels.nbytes > _MOST_BYTES:
        raise DeidError(f"{pixels.nbytes} bytes of pixels; an uncompressed file holds at most {_MOST_BYTES}")
    _clear_padding(safe, coding)
    safe.BitsAllocated = 8 * size
    safe.HighBit = coding.stored - 1
    safe.PhotometricInterpretation = cleaned.model
    if cleaned.samples.shape[-1] > 1:
        safe.PlanarConfiguration = 0
    safe.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return np.ascontiguousarray(pixels)


def _is_of_words(element: DataElement) -> bool:
    keyword = str(element.keyword)
    return element.VR == "OW" or keyword == "LUTData" or keyword.endswith("PaletteColorLookupTableData")


def _clear_padding(safe: Dataset, coding: Coding) -> None:
    """Make padding the value that its pixels have, once their unused bits are cleared (PS3.3 C.7.5.1.1.2)."""
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        if isinstance(safe.get(keyword), int):
            kept = safe[keyword].value & ((1 << coding.stored) - 1)
            negative = coding.signed and kept >> (coding.stored - 1)
            safe[keyword].VR = "SS" if coding.signed else "US"
            safe[keyword].value = kept - (1 << coding.stored) if negative else kept
