"""Nodules: where they grow, how they look, and how large they are at each study."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.phantom.anatomy import Anatomy
from radvit.data.phantom.blobs import Blob
from radvit.data.phantom.spec import CohortSpec

_TYPICAL_MM = 14.0
_APART_MM = 14.0
_VISIBLE_AIR_MM = 30.0


@dataclass(frozen=True, slots=True)
class Nodule:
    """A nodule over the years. blob: at its first study. growth: of the diameter a year, in e-folds."""

    lesion: int
    blob: Blob
    growth: float
    first_study: int
    behind_rib: bool

    def at(self, study: int, years: float, largest_mm: float, growth: float) -> Blob | None:
        """The nodule at a study, years after the patient's first; None before it appears.

        largest_mm: where it stops growing. growth: exponent by which contrast follows size.
        """
        if study < self.first_study:
            return None
        wanted = np.exp(self.growth * years)
        scale = float(min(wanted, max(largest_mm / self.blob.longest_mm(), 1.0)))
        return replace(self.blob, radius_mm=self.blob.radius_mm * scale, contrast=self.blob.contrast * scale**growth)


def draw_nodules(rng: np.random.Generator, anatomy: Anatomy, spec: CohortSpec, studies: int) -> tuple[Nodule, ...]:
    """Draw a patient's nodules; none for the share of patients that has none."""
    if rng.random() >= spec.positive:
        return ()
    first = 0 if studies == 1 or rng.random() < 0.75 else int(rng.integers(1, studies))
    nodules: list[Nodule] = []
    for _ in range(int(rng.choice([1, 2, 3], p=spec.nodules))):
        blob = _draw_blob(rng, anatomy, spec, [nodule.blob for nodule in nodules])
        if blob is None:
            continue
        growth = 0.0 if rng.random() < 0.5 else float(rng.uniform(0.05, 0.6))
        start = first if not nodules or rng.random() < 0.7 else int(rng.integers(first, studies))
        nodules.append(Nodule(len(nodules), blob, growth, start, is_behind_rib(anatomy, blob)))
    return tuple(nodules)


def is_behind_rib(anatomy: Anatomy, blob: Blob, share: float = 0.5) -> bool:
    """Whether at least this share of the nodule lies behind ribs or clavicles."""
    middle = np.array([blob.x_mm, blob.y_mm])
    points = np.concatenate([middle + (blob.outline_mm() - middle) * k for k in (0.2, 0.45, 0.65, 0.8, 0.95)])
    return bool((anatomy.grid.at(anatomy.ribs, points) > 0.5).mean() >= share)


def _draw_blob(rng: np.random.Generator, anatomy: Anatomy, spec: CohortSpec, others: list[Blob]) -> Blob | None:
    size = float(np.exp(rng.uniform(*np.log(spec.nodule_mm))))
    contrast = float(np.exp(rng.uniform(*np.log(spec.contrast)))) * (size / _TYPICAL_MM) ** spec.contrast_growth
    place = _place(rng, anatomy, size, rng.random() < spec.overlooked, others)
    if place is None:
        return None
    lobes = tuple(
        (order, float(rng.uniform(0, 0.12) / order**0.6), float(rng.uniform(0, 2 * np.pi))) for order in (2, 3, 4, 5, 7)
    )
    shape = Blob(
        *place,
        1.0,
        contrast,
        float(rng.uniform(1, 1.35)),
        float(rng.uniform(0, np.pi)),
        lobes,
        float(rng.uniform(0.2, 0.7)),
    )
    return replace(shape, radius_mm=size / shape.longest_mm())


def _place(
    rng: np.random.Generator, anatomy: Anatomy, size_mm: float, overlooked: bool, others: list[Blob]
) -> tuple[float, float] | None:
    """A place inside the lungs, clear of their outline and of other nodules; None where there is none."""
    grid = anatomy.grid
    depth = cv2.distanceTransform((anatomy.lung > 0.5).astype(np.uint8), cv2.DIST_L2, 5) * grid.step_mm
    visible = anatomy.air > _VISIBLE_AIR_MM
    allowed: npt.NDArray[np.bool_] = (depth > 0.5 * size_mm + 1) & (~visible if overlooked else visible)
    x, y = grid.mesh()
    for other in others:
        apart = 0.5 * (size_mm + other.longest_mm()) + _APART_MM
        allowed = allowed & ((x - other.x_mm) ** 2 + (y - other.y_mm) ** 2 > apart**2)
    cells = np.flatnonzero(allowed)
    if not len(cells):
        return None
    row, column = divmod(int(rng.choice(cells)), grid.columns)
    jitter = rng.uniform(-0.5, 0.5, 2) * grid.step_mm
    return float(x[0, column] + jitter[0]), float(y[row, 0] + jitter[1])
