"""True boxes in COCO form: images named by SOPInstanceUID or by file, annotations with bbox [x, y, w, h]."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError
from radvit.records import Geometry, Header, Lesion

Key = tuple[str, int]  # pseudonymous SOPInstanceUID, or a path relative to the folder, and the frame


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of each image. sizes: (rows, columns) and patients: pseudonyms, where the file tells them."""

    boxes: dict[Key, tuple[Lesion, ...]]
    sizes: dict[Key, tuple[int, int]]
    patients: dict[Key, str]

    def key(self, header: Header, file_name: str) -> Key | None:
        """Under which name the file lists this image; an image it does not list has no known truth.

        file_name: relative to the data set's folder, with slashes.
        """
        names = ((header.image, header.frame), (file_name, header.frame))
        return next((name for name in names if name in self.boxes), None)

    def lesions(self, key: Key, geometry: Geometry) -> tuple[Lesion, ...]:
        """The lesions of an image. Raises DataError where the file says another size."""
        found = (geometry.rows, geometry.columns)
        if self.sizes.get(key, found) != found:
            raise DataError(f"image of {found} pixels; the truth says {self.sizes[key]}")
        return self.boxes[key]


def read_truth(path: Path, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read a COCO file; identifiers become pseudonyms at once.

    labels: names of the categories to keep, in the order of the classes; others are left out. Raises DataError where
    the file is missing, broken, or has no category of that name. Its messages hold no identifier of an image.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        classes = _classes(path, record, labels)
        keys = {image["id"]: _key(image, pseudonymizer) for image in record["images"]}
        boxes: dict[Key, list[Lesion]] = {key: [] for key in keys.values()}
        for annotation in record["annotations"]:
            if annotation["category_id"] in classes:
                boxes[keys[annotation["image_id"]]].append(_lesion(annotation, classes[annotation["category_id"]]))
        sizes = {keys[i["id"]]: (int(i["height"]), int(i["width"])) for i in record["images"] if "height" in i}
        known = {keys[i["id"]]: str(i["patient_id"]) for i in record["images"] if i.get("patient_id")}
    except OSError as error:
        raise DataError(f"{path}: no such file; expected boxes in COCO form") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: can't be read as COCO boxes ({type(error).__name__}); expected images with id and "
            "sop_instance_uid or file_name, annotations with image_id, category_id, bbox, and categories with id, name"
        ) from error
    patients = {key: pseudonymizer.patient(name) for key, name in known.items()}
    return Truth({key: tuple(lesions) for key, lesions in boxes.items()}, sizes, patients)


def _key(image: dict[str, Any], pseudonymizer: Pseudonymizer) -> Key:
    uid = image.get("sop_instance_uid")
    return (pseudonymizer.uid(str(uid)) if uid else str(image["file_name"]), _frame(image))


def _classes(path: Path, record: dict[str, Any], labels: tuple[str, ...]) -> dict[int, int]:
    """Class number of each category to keep."""
    ids = {str(category["name"]): category["id"] for category in record["categories"]}
    missing = [label for label in labels if label not in ids]
    if missing:
        raise DataError(f"{path}: no category {', '.join(missing)}; it has {', '.join(ids) or 'none'}")
    return {ids[label]: k for k, label in enumerate(labels)}


def _frame(image: dict[str, Any]) -> int:
    return int(image.get("frame", 0))  # not COCO's own: 0-based, for files of several frames


def _lesion(annotation: dict[str, Any], label: int) -> Lesion:
    x, y, width, height = (float(value) for value in annotation["bbox"])
    return Lesion((x, y, x + width, y + height), label, _number(annotation, "size_mm"), _number(annotation, "contrast"))


def _number(annotation: dict[str, Any], name: str) -> float | None:
    value = annotation.get(name)
    return None if value is None else float(value)
