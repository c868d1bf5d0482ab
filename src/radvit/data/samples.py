"""What is known of each image of a cohort, and the cohort itself: preprocessed pixels beside their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.data.preprocess import Placement
from radvit.errors import DataError, GeometryError
from radvit.records import FloatArray, Geometry, Header, Lesion, SpacingPlane


@dataclass(frozen=True, slots=True)
class Sample:
    """All that is known of one image but its pixels.

    placement: where it lies in the model's square. targets: image-level truth, 0 or 1 per class. lesions: true boxes
    in pixels of the stored image; empty where the source has no boxes.
    """

    header: Header
    geometry: Geometry
    placement: Placement
    targets: tuple[float, ...]
    lesions: tuple[Lesion, ...] = ()

    @property
    def name(self) -> str:
        """The pseudonymous UID of the image, with `#` and the frame's number for all but a file's first frame."""
        return f"{self.header.image}#{self.header.frame}" if self.header.frame else self.header.image

    @property
    def positive(self) -> bool:
        """Whether any class is present."""
        return any(target > 0 for target in self.targets)

    def boxes_px(self) -> FloatArray:
        """True boxes in model pixels, xyxy, (n, 4) float32."""
        if not self.lesions:
            return np.zeros((0, 4), np.float32)
        stored = np.array([lesion.box_px for lesion in self.lesions], np.float64)  # (n, 4)
        return self.placement.to_model(stored).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = asdict(self)
        record["geometry"]["plane"] = self.geometry.plane.value
        return record

    @staticmethod
    def from_dict(record: dict[str, Any]) -> Sample:
        """The inverse of to_dict. Raises DataError where a field is missing or of the wrong kind."""
        try:
            return Sample(
                header=_header(record["header"]),
                geometry=_geometry(record["geometry"]),
                placement=Placement.from_dict(record["placement"]),
                targets=tuple(float(target) for target in record["targets"]),
                lesions=tuple(Lesion(**{**x, "box_px": tuple(x["box_px"])}) for x in record["lesions"]),
            )
        except (KeyError, TypeError, ValueError, GeometryError) as error:
            raise DataError(f"a sample's record can't be read: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Cohort:
    """A preprocessed data set.

    pixels: (N, S, S) float16 in [0, 1]. labels: K class names. fingerprint: sha256 over pixels, truth and labels; the
    same data give the same one wherever they lie and whatever the key of their pseudonyms. official: the source's
    own splits, indices into samples. failed: how many files could not be read. masks: (N, S, S) uint8, bit k set where
    class k lies, or None where the source has none. failures: files without an image by
    reason, those outside of the selection (`not-selected`) among them.
    """

    pixels: npt.NDArray[np.float16]
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    fingerprint: str
    official: Mapping[str, tuple[int, ...]] | None = None
    failed: int = 0
    masks: npt.NDArray[np.uint8] | None = None
    failures: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, k = len(self.samples), len(self.labels)
        if self.pixels.ndim != 3 or len(self.pixels) != n or self.pixels.shape[1] != self.pixels.shape[2]:
            raise DataError(f"pixels of shape {self.pixels.shape} beside {n} samples; expected ({n}, S, S)")
        if self.masks is not None and (self.masks.shape != self.pixels.shape or self.masks.dtype != np.uint8):
            raise DataError(
                f"{self.masks.dtype} masks of shape {self.masks.shape}; expected uint8, {self.pixels.shape}"
            )
        wrong = next((len(s.targets) for s in self.samples if len(s.targets) != k), k)
        if wrong != k:
            raise DataError(f"a sample has {wrong} targets; expected {k}, one a label")

    def __len__(self) -> int:
        return len(self.samples)

    def targets(self) -> FloatArray:
        """Image-level truth of all samples, (N, K) float32."""
        return np.array([s.targets for s in self.samples], np.float32).reshape(len(self), len(self.labels))


def _header(record: dict[str, Any]) -> Header:
    known = {one.name for one in fields(Header)}
    if set(record) - known:
        raise DataError(f"a sample's header has unknown fields {sorted(set(record) - known)}")
    toward = record.get("patient_orientation")
    return Header(**{**record, "patient_orientation": tuple(toward) if toward else None})


def _geometry(record: dict[str, Any]) -> Geometry:
    spacing = record["spacing_mm"]
    return Geometry(
        rows=int(record["rows"]),
        columns=int(record["columns"]),
        spacing_mm=tuple(spacing) if spacing else None,
        plane=SpacingPlane(record["plane"]),
        spacing_source=str(record["spacing_source"]),
        position_mm=_numbers(record["position_mm"]),
        axes=_numbers(record["axes"]),
    )


def _numbers(values: Sequence[float] | None) -> Any:
    return None if values is None else tuple(float(value) for value in values)
