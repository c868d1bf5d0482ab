"""Which images are likely to hold burned-in text, by what their headers say they are."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from radvit.deid.header_words import word_of, words_of
from radvit.dicom.pixels import StoredArray

_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture and, below it, its multi-frame forms
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3")  # with the retired ones
_CONVERSIONS = frozenset(("DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"))  # PS3.3 C.8.6.1
_SCREEN = ("SCREEN", "CAPTURE")  # within words of ImageType: SCREEN SAVE, SCREENSHOT, ...
_FLAT = 0.4  # share of a derived image of 8 bits that has one value, as a window's background does


def is_flagged(source: Dataset) -> bool:
    """Whether the header says that there is burned-in text."""
    return word_of(source, "BurnedInAnnotation").upper() == "YES"


def captured_as(source: Dataset, stored: StoredArray) -> str:
    """What kind of image that often holds identity this is: `capture`, `ultrasound`, `screenshot`, or nothing.

    source: the original header. stored: its pixels, of which the first frame counts.
    """
    kind = word_of(source, "SOPClassUID")
    if word_of(source, "Modality").upper() in ("US", "IVUS") or _below(kind, *_ULTRASOUND):
        return "ultrasound"
    if _below(kind, _CAPTURES) or _CONVERSIONS & {word.upper() for word in words_of(source, "ConversionType")}:
        return "capture"
    types = [word.upper() for word in words_of(source, "ImageType")]
    if any(part in word for word in types for part in _SCREEN):
        return "screenshot"
    return "screenshot" if "SECONDARY" in types and _looks_drawn(stored) else ""


def _below(uid: str, *roots: str) -> bool:
    return any(uid == root or uid.startswith(f"{root}.") for root in roots)


def _looks_drawn(stored: StoredArray) -> bool:
    if stored.itemsize > 1 or not stored.size:
        return False
    counts = np.bincount(stored[0].view(np.uint8).ravel(), minlength=256)
    return bool(counts.max() > _FLAT * counts.sum())
