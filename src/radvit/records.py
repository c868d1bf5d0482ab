"""The frozen records that flow from one layer to the next; none of them can hold a patient's identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.errors import GeometryError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Point = tuple[float, float, float]
Axes = tuple[float, float, float, float, float, float]

CUT = 0.01  # a lung that comes so near to the image's edge, of its height, is taken for cut off
ORTHONORMAL_WITHIN = 1e-3  # files write direction cosines with three decimals and more


class Task(Enum):
    """What a model answers: scores of an image, scored boxes, or masks (and, from them, boxes and image scores)."""

    CLASSIFY = "classify"
    DETECT = "detect"
    SEGMENT = "segment"

    @property
    def localises(self) -> bool:
        """Whether boxes are among the answers."""
        return self is not Task.CLASSIFY


class SpacingPlane(Enum):
    """The plane in which a pixel spacing was measured (DICOM PS3.3 10.7.1.3)."""

    PATIENT = "patient"
    DETECTOR = "detector"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size of the stored image in pixels and, where the file tells it, in millimetres and its place in the patient.

    spacing_mm: (row, column) distance between pixel centres, or None where the file has none. spacing_source: the
    attributes it was taken from, in words. position_mm: centre of pixel (0, 0), LPS. axes: direction cosines, LPS, of
    a row (towards rising columns) and of a column (towards rising rows), PS3.3 C.7.6.2.1.1; None where not told.
    """

    rows: int
    columns: int
    spacing_mm: tuple[float, float] | None = None
    plane: SpacingPlane = SpacingPlane.UNKNOWN
    spacing_source: str = ""
    position_mm: Point | None = None
    axes: Axes | None = None

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise GeometryError(f"image of {self.rows} x {self.columns} pixels; expected at least 1 x 1")
        if self.spacing_mm is not None and not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise GeometryError(f"pixel spacing {self.spacing_mm} mm; expected two positive numbers")
        if self.position_mm is not None and not (len(self.position_mm) == 3 and np.isfinite(self.position_mm).all()):
            raise GeometryError(f"position {self.position_mm} mm; expected three finite numbers")
        if self.axes is not None and not is_orthonormal(self.axes):
            raise GeometryError(f"direction cosines {self.axes}; expected two unit vectors at right angles")


def is_orthonormal(axes: Sequence[float]) -> bool:
    """Whether six numbers are two unit vectors at right angles, as far as files round them."""
    if len(axes) != 6 or not np.isfinite(axes).all():
        return False
    row, column = np.array(axes, np.float64).reshape(2, 3)
    products = np.array([row @ row, column @ column, row @ column])
    return bool(np.abs(products - (1, 1, 0)).max() <= 2 * ORTHONORMAL_WITHIN)  # a square errs twice as much


@dataclass(frozen=True, slots=True)
class Header:
    """What is left of a DICOM header after de-identification; every identifier is a keyed pseudonym.

    patient: pseudonym, `P-` and 16 base-32 characters. study, series, image: remapped UIDs (`2.25.` + 128 bits).
    study_date: ISO date, shifted by the patient's offset. age: DICOM age string such as `063Y`.
    patient_orientation: (row, column) direction letters such as ("L", "F"). window: how the grey values were
    windowed, in words. blanked: number of burned-in text regions that were overwritten. frame: within the file, from 0.
    instance_number: of the file within its series, as its maker counts. sop_class: UID of the kind of file it was.
    """

    patient: str
    study: str
    series: str
    image: str
    modality: str
    body_part: str | None = None
    view: str | None = None
    study_date: str | None = None
    sex: str | None = None
    age: str | None = None
    manufacturer: str | None = None
    patient_orientation: tuple[str, str] | None = None
    window: str = ""
    blanked: int = 0
    frame: int = 0
    instance_number: int | None = None
    sop_class: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One de-identified grey image.

    pixels: (rows, columns) float32 in [0, 1], MONOCHROME2 sense (bone is bright on a radiograph).
    """

    pixels: FloatArray
    geometry: Geometry
    header: Header

    def __post_init__(self) -> None:
        if self.pixels.shape != (self.geometry.rows, self.geometry.columns):
            raise GeometryError(
                f"pixels of shape {self.pixels.shape}; expected ({self.geometry.rows}, {self.geometry.columns})"
            )


@dataclass(frozen=True, slots=True)
class Study:
    """The images of one study of one patient, in the order they were read."""

    patient: str
    study: str
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of one image: xyxy (N, 4) float32 in pixels, scores (N,) float32 in [0, 1], labels (N,) int64.

    x is the column and y the row; pixel (0, 0) covers [0, 1] x [0, 1], so x2 - x1 is a width in pixels.
    """

    xyxy: FloatArray
    scores: FloatArray
    labels: IntArray

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,):
            raise GeometryError(
                f"boxes {self.xyxy.shape}, scores {self.scores.shape}, labels {self.labels.shape}; "
                "expected (N, 4), (N,), (N,)"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    @staticmethod
    def empty() -> Boxes:
        """No boxes: arrays of shape (0, 4), (0,), (0,)."""
        return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Lesion:
    """One true lesion of an image: box_px (x1, y1, x2, y2) in pixels of the stored image.

    size_mm: longest diameter; contrast: relative to its surroundings; both None where the truth lacks them.
    """

    box_px: tuple[float, float, float, float]
    label: int = 0
    size_mm: float | None = None
    contrast: float | None = None


@dataclass(frozen=True, slots=True)
class LungExtent:
    """How far both lungs of a frontal image reach, the head upwards, in fractions of its width and height.

    midline: between them. outer, top, bottom: outermost edge and both ends, of the lung on the image's left, then of
    the one on its right. A lung-relative place is `outwards`, the fraction of the way from the midline to that lung's
    outermost edge, and `height`, the fraction of the way from its top to its bottom; both may lie beyond 0 and 1.
    """

    midline: float
    outer: tuple[float, float]
    top: tuple[float, float]
    bottom: tuple[float, float]

    def is_cut(self, half: int) -> bool:
        """Whether a lung, 0 on the image's left or 1 on its right, runs out of the image: its end is unknown."""
        return self.top[half] <= CUT or self.bottom[half] >= 1 - CUT

    def relative(self, across: float, down: float) -> tuple[float, float]:
        """Lung-relative place of a point given in fractions of the image."""
        half = int(across > self.midline)
        outwards = (across - self.midline) / (self.outer[half] - self.midline)
        return outwards, (down - self.top[half]) / (self.bottom[half] - self.top[half])

    def absolute(self, half: int, outwards: float, height: float) -> tuple[float, float]:
        """The point, in fractions of the image, of a place relative to one lung; half: as in `is_cut`."""
        across = self.midline + outwards * (self.outer[half] - self.midline)
        return across, self.top[half] + height * (self.bottom[half] - self.top[half])


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the patient a finding lies; None where the file does not tell.

    side: `left` or `right` of the patient. zone: `upper`, `middle` or `lower` third of the lung's or the image's
    height. depth: `central`, `peripheral` or `outside` the lungs. basis: `lungs` where place was told by an estimate of
    the lung fields, `image` where by thirds of the image. outwards, height: lung-relative place, as LungExtent has it.
    """

    side: str | None = None
    zone: str | None = None
    depth: str | None = None
    basis: str | None = None
    outwards: float | None = None
    height: float | None = None


class Basis(Enum):
    """What a finding rests on: a box that a model was trained to give, the score of the whole image, or a box around
    where a classifier looked, which was trained without boxes.
    """

    BOX = "box"
    IMAGE = "image"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the model found on one image.

    type: label name. score: calibrated probability in [0, 1]. box_px: (x1, y1, x2, y2) in pixels of the stored
    image, or None for an image-level finding. size_mm: longest side of the box, None where the image has no spacing.
    image: the pseudonymous SOPInstanceUID it was seen on. contrast: mean grey inside the box less that of the ring
    around it, in standard deviations of the ring; None where it can't be told. basis: what it rests on.
    """

    type: str
    score: float
    image: str
    box_px: tuple[float, float, float, float] | None = None
    size_mm: float | None = None
    size_plane: SpacingPlane = SpacingPlane.UNKNOWN
    location: Location = field(default_factory=Location)
    contrast: float | None = None
    basis: Basis = Basis.BOX


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a result: software, model and moment. No field may name a person or a host.

    precision: `fp32`, `bf16` or `int8`. created: ISO 8601 UTC. weights: sha256 of the weights file.
    """

    model: str
    version: str
    precision: str
    created: str
    weights: str = ""
    git_commit: str = ""
    seed: int | None = None
    data_fingerprint: str = ""
    split_hash: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
