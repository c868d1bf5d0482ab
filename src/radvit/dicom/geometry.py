"""Size of a pixel in millimetres, the plane in which that size is true, and the image's place in the patient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radvit.dicom.frames import first_with, frame_sources
from radvit.dicom.read import frame_count
from radvit.errors import GeometryError
from radvit.records import Axes, Geometry, Point, SpacingPlane, is_orthonormal

# Modalities that project the patient onto a detector, so that size depends on the distance (PS3.3 10.7.1.3).
PROJECTION = frozenset({"CR", "DX", "MG", "IO", "PX", "RF", "XA", "RG", "RTIMAGE"})
# Modalities whose Pixel Spacing is measured in the patient by construction (PS3.3 10.7).
CROSS_SECTIONAL = frozenset({"CT", "MR", "PT", "NM"})
LARGEST_MAGNIFICATION = 4.0  # of a radiograph; magnified mammograms and C-arms stay below 2.5
_CALIBRATED = ("GEOMETRY", "FIDUCIAL")
_SAME_MM = 1e-6
_Pair = tuple[float, float]
_Spacing = tuple[_Pair | None, SpacingPlane, str]
_Points = npt.NDArray[np.float64]


def geometry(dataset: Dataset, frame: int = 0) -> Geometry:
    """Rows, columns, spacing (row, column) in mm with its plane and source, position and axes of one frame.

    A spacing that is no pair of positive numbers counts as absent, and so do a malformed position and directions that
    aren't orthonormal. Source: PS3.3 10.7.1.3, C.7.6.2 and C.7.6.16.2.
    """
    sources = frame_sources(dataset, frame)
    spacing, plane, words = _spacing(sources, str(dataset.get("Modality") or ""))
    position, axes = _position(sources, dataset), _axes(sources)
    if words == "PixelSpacing" and position is not None and axes is not None:
        plane = SpacingPlane.PATIENT  # that of a plane with a place in the patient (PS3.3 C.7.6.2)
    return Geometry(int(dataset.Rows), int(dataset.Columns), spacing, plane, words, position, axes)


def pixel_to_patient(rc: npt.ArrayLike, geometry: Geometry) -> _Points:
    """Map pixel centres to patient coordinates.

    rc: (N, 2), (row, column), 0-based, fractions allowed. Returns (N, 3) float64, LPS, mm.
    Raises GeometryError where the image's spacing, position or directions are unknown.
    Source: DICOM PS3.3 C.7.6.2.1.1.
    """
    origin, steps = _plane(geometry)
    return np.asarray(np.asarray(rc, np.float64).reshape(-1, 2) @ steps + origin)


def patient_to_pixel(xyz: npt.ArrayLike, geometry: Geometry) -> _Points:
    """Map patient coordinates to the pixels they lie over, along the image's normal: the inverse of pixel_to_patient.

    xyz: (N, 3), LPS, mm. Returns (N, 2) float64, (row, column), 0-based; may lie outside the image.
    Raises GeometryError where the image's spacing, position or directions are unknown.
    """
    origin, steps = _plane(geometry)
    # Least squares, so that cosines which the file has rounded still give an exact inverse.
    return np.asarray((np.asarray(xyz, np.float64).reshape(-1, 3) - origin) @ np.linalg.pinv(steps))


def _plane(geometry: Geometry) -> tuple[_Points, _Points]:
    """Origin (3,) and the steps (2, 3), mm, from one row to the next and from one column to the next."""
    if geometry.spacing_mm is None or geometry.position_mm is None or geometry.axes is None:
        raise GeometryError("the image's spacing, position or directions are unknown; expected all three")
    along_row, along_column = np.array(geometry.axes).reshape(2, 3)
    between_rows, between_columns = geometry.spacing_mm
    return np.array(geometry.position_mm), np.stack([along_column * between_rows, along_row * between_columns])


def _position(sources: tuple[Dataset, ...], dataset: Dataset) -> Point | None:
    """Centre of pixel (0, 0). At the top level of a file of several frames it is that of the first one only: unused."""
    told = sources[:-1] if frame_count(dataset) > 1 else sources
    values = _floats(told, "ImagePositionPatient", 3)
    return None if values is None else (values[0], values[1], values[2])


def _axes(sources: tuple[Dataset, ...]) -> Axes | None:
    values = _floats(sources, "ImageOrientationPatient", 6)
    if values is None or not is_orthonormal(values):
        return None
    a, b, c, d, e, f = values
    return a, b, c, d, e, f


def _spacing(sources: tuple[Dataset, ...], modality: str) -> _Spacing:
    """Spacing, its plane, and the attributes it was taken from."""
    pixel, imager = _pair(sources, "PixelSpacing"), _pair(sources, "ImagerPixelSpacing")
    if pixel is None:
        return _at_detector(sources, modality) if imager is None else _from_imager(sources, imager)
    source = first_with(sources, "PixelSpacingCalibrationType")
    kind = "" if source is None else str(source.PixelSpacingCalibrationType)
    if kind in _CALIBRATED:
        return pixel, SpacingPlane.PATIENT, f"PixelSpacing, calibrated ({kind})"
    if modality in CROSS_SECTIONAL:
        return pixel, SpacingPlane.PATIENT, "PixelSpacing"
    if modality not in PROJECTION:
        return pixel, SpacingPlane.UNKNOWN, "PixelSpacing"
    if imager is None:  # the standard leaves it open; what nobody says was corrected is not taken for corrected
        return pixel, SpacingPlane.DETECTOR, "PixelSpacing, not calibrated"
    if np.abs(np.subtract(pixel, imager)).max() > _SAME_MM:
        return pixel, SpacingPlane.PATIENT, "PixelSpacing, differs from ImagerPixelSpacing"
    return _from_imager(sources, imager)


def _from_imager(sources: tuple[Dataset, ...], imager: _Pair) -> _Spacing:
    """Spacing at the detector, brought to the patient where the file estimates the magnification (PS3.3 C.8.7.5).

    A factor of 1 is a placeholder, as the patient never lies in the detector: it corrects nothing.
    """
    source = first_with(sources, "EstimatedRadiographicMagnificationFactor")
    try:
        factor = 1.0 if source is None else float(source.EstimatedRadiographicMagnificationFactor)
    except (TypeError, ValueError):
        factor = 1.0
    if not 1 < factor <= LARGEST_MAGNIFICATION:
        return imager, SpacingPlane.DETECTOR, "ImagerPixelSpacing"
    words = f"ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor {factor:g}"
    return (imager[0] / factor, imager[1] / factor), SpacingPlane.PATIENT, words


def _at_detector(sources: tuple[Dataset, ...], modality: str) -> _Spacing:
    """Of a digitised film: on the film, which is the detector of a projection (PS3.3 C.8.6.2)."""
    film = _pair(sources, "NominalScannedPixelSpacing")
    if film is None:
        return None, SpacingPlane.UNKNOWN, ""
    plane = SpacingPlane.DETECTOR if modality in PROJECTION else SpacingPlane.UNKNOWN
    return film, plane, "NominalScannedPixelSpacing"


def _pair(sources: tuple[Dataset, ...], keyword: str) -> _Pair | None:
    values = _floats(sources, keyword, 2)
    return (values[0], values[1]) if values is not None and min(values) > 0 else None


def _floats(sources: tuple[Dataset, ...], keyword: str, count: int) -> list[float] | None:
    """The nearest value of an attribute, where it is so many finite numbers."""
    source = first_with(sources, keyword)
    value: Any = None if source is None else source.get(keyword)
    if not isinstance(value, Iterable) or isinstance(value, str):
        return None
    try:
        values = [float(v) for v in value]
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and np.isfinite(values).all() else None
