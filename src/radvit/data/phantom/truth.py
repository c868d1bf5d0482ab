"""What is true of each image: COCO annotations of its nodules, and the strings that must never leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from radvit.data.phantom.blobs import Blob, longest
from radvit.data.phantom.pose import Pose

CATEGORY = {"id": 0, "name": "nodule"}


@dataclass(frozen=True, slots=True)
class TrueNodule:
    """A nodule on one image. outline_px: flat x, y, x, y, ..., where the nodule's amplitude falls to half.

    box_px: (x1, y1, x2, y2), tight around the outline. size_mm: longest diameter in the patient plane.
    contrast: line integral added in its middle. lesion_id: the same on every image of the same nodule.
    """

    lesion_id: str
    outline_px: tuple[float, ...]
    box_px: tuple[float, float, float, float]
    area_px: float
    size_mm: float
    contrast: float
    behind_rib: bool


@dataclass(frozen=True, slots=True)
class TrueImage:
    """One written file. spacing_mm: size of its pixels in the patient plane, whatever the header tells."""

    file_name: str
    sop_instance_uid: str
    height: int
    width: int
    spacing_mm: float
    study: str
    nodules: tuple[TrueNodule, ...]


@dataclass(frozen=True, slots=True)
class TruePatient:
    """One patient's files, and every string of their headers that identifies; dates as YYYYMMDD."""

    patient_id: str
    images: tuple[TrueImage, ...]
    secrets: tuple[str, ...]
    dates: tuple[str, ...]
    uids: tuple[str, ...]


def true_nodule(lesion_id: str, blob: Blob, pose: Pose, behind_rib: bool) -> TrueNodule:
    """A nodule as it lies on an image."""
    outline = np.round(pose.to_px(blob.outline_mm()), 2)
    x, y = outline.T
    return TrueNodule(
        lesion_id,
        tuple(outline.ravel().tolist()),
        (float(x.min()), float(y.min()), float(x.max()), float(y.max())),
        round(float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2), 1),
        round(longest(outline) * pose.spacing_mm, 2),
        round(blob.contrast, 4),
        behind_rib,
    )


def to_coco(patients: Iterable[TruePatient], info: dict[str, Any]) -> dict[str, Any]:
    """Truth in COCO's form, keyed by the original SOPInstanceUID."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(image for patient in patients for image in patient.images):
        images.append(
            {
                "id": number,
                "file_name": image.file_name,
                "sop_instance_uid": image.sop_instance_uid,
                "height": image.height,
                "width": image.width,
                "spacing_mm": image.spacing_mm,
            }
        )
        annotations += [_annotation(len(annotations) + k, number, nodule) for k, nodule in enumerate(image.nodules)]
    return {"info": info, "images": images, "annotations": annotations, "categories": [CATEGORY]}


def _annotation(number: int, image: int, nodule: TrueNodule) -> dict[str, Any]:
    x1, y1, x2, y2 = nodule.box_px
    return {
        "id": number,
        "image_id": image,
        "category_id": CATEGORY["id"],
        "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        "area": nodule.area_px,
        "segmentation": [list(nodule.outline_px)],
        "iscrowd": 0,
        "size_mm": nodule.size_mm,
        "contrast": nodule.contrast,
        "behind_rib": nodule.behind_rib,
        "lesion_id": nodule.lesion_id,
    }


def to_answer_key(patients: Iterable[TruePatient]) -> dict[str, Any]:
    """Who is who: per patient the files, the strings that identify, and the UIDs."""
    return {
        "patients": [
            {
                "patient_id": patient.patient_id,
                "files": [image.file_name for image in patient.images],
                "strings": list(patient.secrets),
                "dates": list(patient.dates),
                "uids": list(patient.uids),
            }
            for patient in patients
        ]
    }
