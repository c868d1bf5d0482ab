"""Where makers are known to burn identity in: bands of the image, whatever is seen there.

The places are facts gathered by users of RSNA's Clinical Trial Processor (the library of its DicomPixelAnonymizer) and
of pydicom/deid (its recipe `deid.dicom`), stated here anew. Where the header of an ultrasound says which regions hold
the image (PS3.3 C.8.5.5), all else is taken for annotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from radvit.deid.header_words import word_of, words_of
from radvit.deid.rects import NONE, Rects, clipped, outside

_Box = tuple[int, int, int, int]  # left, top, width, height, pixels

_WHOLE = 0.98  # share of an image, from which on regions that hold it say nothing of where its annotations are
_LEAST = 0.05  # share, below which they don't hold the image


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of image, and its bands. Words are parts of the header's, in capitals; None and empty ones fit all.

    flagged: only images whose header says BurnedInAnnotation YES.
    """

    modality: str
    maker: str
    boxes: tuple[_Box, ...]
    models: tuple[str, ...] = ()
    rows: int | None = None
    columns: int | None = None
    image_type: str = ""
    series: str = ""
    flagged: bool = False

    def fits(self, source: Dataset) -> bool:
        """Whether an original header is of this kind."""
        model = word_of(source, "ManufacturerModelName").upper()
        return (
            word_of(source, "Modality").upper() == self.modality
            and self.maker in word_of(source, "Manufacturer").upper()
            and (not self.models or any(one in model for one in self.models))
            and self.rows in (None, source.get("Rows"))
            and self.columns in (None, source.get("Columns"))
            and self.image_type in "\\".join(words_of(source, "ImageType")).upper()
            and self.series in word_of(source, "SeriesDescription").upper()
            and not (self.flagged and word_of(source, "BurnedInAnnotation") != "YES")
        )


def _us(maker: str, model: str, rows: int | None, *boxes: _Box, columns: int | None = None) -> Rule:
    return Rule("US", maker, boxes, (model,) if model else (), rows, columns)


_ULTRASOUND = (
    _us("SIEMENS", "S2000", 768, (0, 0, 1024, 60), columns=1024),
    _us("SIEMENS", "S3000", 768, (0, 0, 1040, 60)),
    _us("SIEMENS", "SC2000", 768, (230, 50, 260, 370), columns=1024),
    _us("SIEMENS", "ANTARES", 768, (0, 0, 1024, 60), (200, 60, 20, 20), (800, 65, 104, 14), columns=1024),
    _us("SIEMENS", "G40", 600, (0, 0, 980, 45)),
    _us("SIEMENS", "ACUSON NX3", 768, (0, 0, 1150, 58)),
    _us("SIEMENS", "X150", 600, (0, 0, 1145, 50)),
    _us("SIEMENS", "ACUSON", 600, (0, 0, 800, 43), (128, 56, 16, 16), columns=800),
    _us("ACUSON", "SEQUOIA", 480, (0, 0, 640, 30), columns=640),
    _us("GE", "LOGIQ9", None, (0, 0, 640, 30)),
    _us("GE", "LOGIQE9", None, (0, 0, 960, 70)),
    _us("GE", "V830", None, (0, 0, 960, 70)),
    _us("GE", "LOGIQE", 614, (0, 0, 1150, 75)),
    _us("GE", "LOGIQS7", 720, (0, 0, 1060, 67)),
    _us("GE", "LOGIQS8", 873, (0, 0, 1160, 65)),
    _us("GE", "LOGIQS8", 768, (0, 0, 1150, 60)),
    _us("GE", "VOLUSON P8", 727, (0, 0, 1150, 65)),
    _us("GE", "VOLUSON S", 743, (0, 0, 925, 62)),
    _us("GE", "VOLUSON S10", 852, (0, 0, 1040, 62)),
    _us("GE", "VOLUSON S10", 600, (0, 0, 1040, 62)),
    _us("PHILIPS", "IU22", 480, (0, 0, 640, 47)),
    _us("PHILIPS", "IU22", 600, (0, 0, 800, 59)),
    _us("PHILIPS", "IU22", 786, (0, 0, 1024, 75)),
    _us("PHILIPS", "AFFINITI 70G", 768, (0, 0, 1024, 22)),
    _us("PHILIPS", "AFFINITI 70G", 825, (0, 0, 1140, 70)),
    _us("PHILIPS", "CLEARVUE 650", 600, (0, 0, 1150, 22)),
    _us("PHILIPS", "EPIQ", 600, (0, 0, 1024, 49)),
    _us("PHILIPS", "EPIQ", 768, (0, 0, 1024, 49)),
    _us("PHILIPS", "EPIQ", 825, (0, 0, 800, 59)),
    _us("PHILIPS", "CX50", None, (0, 0, 800, 59)),
    _us("ATL", "HDI 5000", 476, (40, 0, 200, 40), (240, 0, 190, 16), columns=640),
    _us("ATL", "HDI4000", 480, (0, 0, 1140, 62)),
    _us("ZONARE", "Z_ONE", 600, (0, 0, 800, 65)),
    _us("ZONARE", "ZS3", 600, (0, 0, 1150, 55)),
    _us("TOSHIBA", "A400", 720, (0, 0, 960, 60), columns=960),
    _us("TOSHIBA", "A500", 720, (0, 0, 960, 60), columns=960),
    _us("TOSHIBA", "TUS-A300", 632, (0, 0, 1150, 72)),
    _us("TOSHIBA", "TUS-A300", 720, (0, 0, 1150, 68)),
    _us("TOSHIBA", "TUS-A500", 632, (0, 0, 1150, 60)),
    _us("TOSHIBA", "TUS-A500", 903, (0, 0, 930, 50)),
    _us("SUPERSONIC", "AIXPLORER", 1050, (0, 0, 1400, 89), columns=1400),
    _us("SENO", "", 1058, (161, 0, 1632, 50), columns=1920),
    _us("SENO", "", 1056, (161, 0, 1632, 50), columns=1920),
    _us("ESAOTE", "6100", 608, (0, 0, 790, 52)),
    _us("ESAOTE", "6150", 804, (0, 0, 1030, 45)),
    _us("ESAOTE", "6150", 608, (0, 0, 1140, 72)),
    _us("ESAOTE", "6150", 555, (0, 0, 1140, 72)),
    _us("MEDISON", "ACCUVIX V20", 768, (0, 0, 1010, 65)),
)

_TOMOGRAPHY = (
    Rule("CT", "GE", ((0, 0, 512, 121),), ("LIGHTSPEED VCT",), image_type="SCREEN SAVE"),
    Rule("CT", "GE", ((0, 0, 512, 110),), series="DOSE REPORT"),
    Rule("CT", "GE", ((0, 0, 512, 80),), series="AW ELECTRONIC F", flagged=True),
    Rule("CT", "GE", ((0, 0, 512, 25),), rows=512, flagged=True),
    Rule("CT", "GE", ((350, 0, 162, 30), (390, 80, 122, 15)), rows=512, columns=512, image_type="VOLREN", flagged=True),
    Rule("CT", "GE", ((0, 0, 300, 150), (724, 0, 300, 150)), rows=1024, flagged=True),
    Rule("CT", "VITAL", ((0, 0, 795, 150),), rows=1041),
    Rule("CT", "VITREA", ((0, 0, 795, 150),), rows=1041),
    Rule("CT", "SIEMENS", ((0, 0, 1132, 60),), rows=860, image_type="SECONDARY"),
    Rule("CT", "PHILIPS", ((0, 0, 512, 135),), image_type="DOSE"),
    Rule("CT", "TOSHIBA", ((0, 0, 410, 240),), ("AQUILION ONE",), 512, 512, image_type="SECONDARY"),
    Rule("PT", "PHILIPS", ((0, 0, 125, 50),), ("GEMINI",), 446, 245),
    Rule("PT", "PHILIPS", ((0, 0, 140, 55),), ("GEMINI",), 445, 493),
    Rule("PT", "PHILIPS", ((0, 0, 100, 25),), ("GEMINI",), 373, 492),
    Rule("NM", "SIEMENS", ((0, 0, 1132, 90), (0, 780, 1132, 80)), rows=860, image_type="SECONDARY"),
    Rule("NM", "SIEMENS", ((0, 0, 1132, 35),), rows=865, image_type="SECONDARY"),
    Rule("NM", "SIEMENS", ((0, 0, 1132, 65),), rows=882, image_type="SECONDARY"),
    Rule("NM", "ADAC", ((0, 0, 1024, 80), (0, 762, 1024, 80)), rows=832, columns=1024),
)

RULES = _ULTRASOUND + _TOMOGRAPHY


def known_regions(source: Dataset) -> Rects:
    """Where identity may stand in an image, by its original header alone. Returns (N, 4), within the image."""
    shape = int(source.Rows), int(source.Columns)
    boxes = [box for rule in RULES if rule.fits(source) for box in rule.boxes]
    return np.concatenate([clipped(np.array(boxes, np.int64).reshape(-1, 4), shape), _beside_ultrasound(source, shape)])


def _beside_ultrasound(source: Dataset, shape: tuple[int, int]) -> Rects:
    """What lies beside the regions that the header of an ultrasound names; nothing where they can't be trusted."""
    try:
        regions = [_region(item) for item in source.get("SequenceOfUltrasoundRegions") or ()]
    except Exception:  # noqa: BLE001 - whatever a malformed value raises, it tells of no region
        return NONE
    if not regions:
        return NONE
    beside = outside(np.array(regions, np.int64).reshape(-1, 4), shape)
    held = 1 - np.prod(beside[:, 2:], axis=1).sum() / (shape[0] * shape[1])
    return beside if _LEAST <= held <= _WHOLE else NONE


def _region(item: Dataset) -> _Box:
    left, top = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
    return left, top, int(item.RegionLocationMaxX1) - left + 1, int(item.RegionLocationMaxY1) - top + 1
