"""The true lung fields of the cohort's images, drawn again from the seed: the files and truth.json do not hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.phantom.anatomy import Anatomy
from radvit.data.phantom.patient import placed_images
from radvit.data.phantom.pose import Pose
from radvit.data.phantom.spec import CohortSpec

VISIBLE_AIR_MM = 30.0  # less air than this is hidden by heart, mediastinum or diaphragm

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrueLungs:
    """The visible lungs of one image. file_name: relative to the cohort's folder.

    right, left: (rows, columns) bool, the lungs by the patient's sides, where the ray crosses at least 30 mm of air:
    what lies behind heart, mediastinum and diaphragm is left out, as in a radiologist's outline of the lung field.
    """

    file_name: str
    right: Mask
    left: Mask


def true_lungs(spec: CohortSpec, patient: int, largest_px: int) -> Iterator[TrueLungs]:
    """The lungs of each image of a patient, reduced to at most `largest_px` on the longer side."""
    for file_name, anatomy, pose in placed_images(spec, patient):
        yield TrueLungs(file_name, *(_mask(anatomy, pose, side, largest_px) for side in (-1, 1)))


def _mask(anatomy: Anatomy, pose: Pose, side: int, largest_px: int) -> Mask:
    """One lung on the reduced image. side: sign of x in the patient frame, -1 for the patient's right."""
    x, _ = anatomy.grid.mesh()
    layer = np.where(side * x > 0, anatomy.air, 0).astype(np.float32)
    factor = min(1.0, largest_px / max(pose.rows, pose.columns))
    columns, rows = max(1, round(pose.columns * factor)), max(1, round(pose.rows * factor))
    stretch = np.array([pose.columns / columns, pose.rows / rows])
    back = pose.from_grid(anatomy.grid)  # from full-size pixel centres
    back = np.concatenate([back[:, :2] * stretch, back[:, 2:] + back[:, :2] @ (stretch - 1)[:, None] / 2], 1)
    placed = cv2.warpAffine(layer, back, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(placed > VISIBLE_AIR_MM)
