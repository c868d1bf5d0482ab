"""Everything that can be turned on the synthetic cohort, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from radvit.errors import DataError


@dataclass(frozen=True, slots=True)
class CohortSpec:
    """How many patients, how large the images, and how hard the task.

    size_px: smallest and largest side of an image. field_mm: smallest and largest side of the irradiated field at the
    detector. spacing: where the field in detector pixels of 0.14 to 0.2 mm would exceed size_px, pixels are larger.
    studies: shares of patients with 1, 2, 3 and 4 studies. nodules: shares of those who have any with 1, 2 and 3.
    positive: share of patients who have nodules at some time; about 0.85 of it is the share of studies that show some.
    nodule_mm: longest diameter in the patient plane, drawn log-uniformly. contrast: line integral that the middle of a
    nodule of 14 mm adds (0.15 is about a rib's), drawn log-uniformly; it grows with size ** contrast_growth.
    overlooked: share of nodules placed behind heart, mediastinum or diaphragm.
    distractors: mean number an image of things that look like nodules but are none: vessels end-on and calcified ends
    of ribs. leads: share of studies with electrodes and their wires. nipples: share of patients whose nipples show.
    noise: multiplies the standard deviation of the quantum noise. jpeg2000: share of files in the slow JPEG 2000.
    collimated: share of images with an empty border around the field, which comes on top of size_px.
    Raises DataError for values that contradict themselves.
    """

    patients: int
    seed: int
    size_px: tuple[int, int] = (1024, 2500)
    field_mm: tuple[float, float] = (330.0, 430.0)
    studies: tuple[float, float, float, float] = (0.38, 0.30, 0.19, 0.13)
    nodules: tuple[float, float, float] = (0.62, 0.26, 0.12)
    positive: float = 0.58
    nodule_mm: tuple[float, float] = (6.0, 30.0)
    contrast: tuple[float, float] = (0.32, 0.95)
    contrast_growth: float = 0.4
    overlooked: float = 0.06
    distractors: float = 6.0
    leads: float = 0.25
    nipples: float = 0.2
    noise: float = 1.0
    jpeg2000: float = 0.12
    collimated: float = 0.0

    def __post_init__(self) -> None:
        if self.patients < 1 or self.seed < 0:
            raise DataError(f"cohort of {self.patients} patients, seed {self.seed}; expected at least 1, and 0 or more")
        for name in ("size_px", "field_mm", "nodule_mm", "contrast"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise DataError(f"{name} from {low} to {high}; expected two rising numbers above 0")
        for name in ("positive", "overlooked", "leads", "nipples", "jpeg2000", "collimated"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} {getattr(self, name)}; expected a share from 0 to 1")
        for name in ("studies", "nodules"):
            shares = getattr(self, name)
            if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
                raise DataError(f"{name} {shares}; expected shares that add up to 1")
        if self.distractors < 0 or self.noise < 0:
            raise DataError(f"distractors {self.distractors}, noise {self.noise}; expected 0 or more")

    @staticmethod
    def preset(
        patients: int, seed: int, small: bool = False, hard: bool = False, collimated: float = 0.0
    ) -> CohortSpec:
        """The presets. small: fast images of about 1000 px, for demos. hard: nodules of 6 to 12 mm, subtle ones."""
        knobs: dict[str, Any] = {**(SMALL if small else {}), **(HARD if hard else {})}
        return CohortSpec(patients, seed, collimated=collimated, **knobs)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in cohort.json; `collimated` only where it is used: older cohorts have none."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return values if self.collimated else {key: value for key, value in values.items() if key != "collimated"}


# Many patients with few studies each: a model learns more from a new chest than from an old one again.
SMALL: dict[str, Any] = {
    "size_px": (832, 1120),
    "field_mm": (320.0, 390.0),
    "jpeg2000": 0.06,
    "studies": (0.70, 0.20, 0.07, 0.03),
    "nodules": (0.45, 0.30, 0.25),
}
HARD: dict[str, Any] = {"nodule_mm": (6.0, 12.0), "contrast": (0.12, 0.30), "overlooked": 0.10}
