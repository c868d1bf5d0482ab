"""Size of a pixel in millimetres, and the plane in which that size is true."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom import Dataset

from radvit.dicom.pixels import first_with, frame_sources
from radvit.records import Geometry, SpacingPlane

# Modalities that project the patient onto a detector, so that size depends on the distance (PS3.3 10.7.1.3).
PROJECTION = frozenset({"CR", "DX", "MG", "IO", "PX", "RF", "XA", "RG", "RTIMAGE"})
# Modalities whose Pixel Spacing is measured in the patient by construction (PS3.3 10.7).
CROSS_SECTIONAL = frozenset({"CT", "MR", "PT", "NM"})
_CALIBRATED = ("GEOMETRY", "FIDUCIAL")
_SAME_MM = 1e-6


def geometry(dataset: Dataset, frame: int = 0) -> Geometry:
    """Rows, columns, spacing (row, column) in mm and its plane, of one frame.

    A spacing that is no pair of positive numbers counts as absent. Source: PS3.3 10.7.1.3 and C.7.6.16.2.1.
    """
    sources = frame_sources(dataset, frame)
    spacing, plane = _spacing(sources, str(dataset.get("Modality") or ""))
    return Geometry(int(dataset.Rows), int(dataset.Columns), spacing, plane)


def _spacing(sources: tuple[Dataset, ...], modality: str) -> tuple[tuple[float, float] | None, SpacingPlane]:
    pixel, imager = _pair(sources, "PixelSpacing"), _pair(sources, "ImagerPixelSpacing")
    if pixel is None:
        return imager, SpacingPlane.UNKNOWN if imager is None else SpacingPlane.DETECTOR
    source = first_with(sources, "PixelSpacingCalibrationType")
    if source is not None and str(source.PixelSpacingCalibrationType) in _CALIBRATED:
        return pixel, SpacingPlane.PATIENT
    if modality in CROSS_SECTIONAL:
        return pixel, SpacingPlane.PATIENT
    if modality not in PROJECTION or imager is None:
        return pixel, SpacingPlane.UNKNOWN
    corrected = bool(np.abs(np.subtract(pixel, imager)).max() > _SAME_MM)
    return pixel, SpacingPlane.PATIENT if corrected else SpacingPlane.DETECTOR


def _pair(sources: tuple[Dataset, ...], keyword: str) -> tuple[float, float] | None:
    source = first_with(sources, keyword)
    if source is None:
        return None
    value: Any = source.get(keyword)
    try:
        row, column = (float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (row, column) if np.isfinite([row, column]).all() and row > 0 and column > 0 else None
