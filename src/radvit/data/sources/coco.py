"""Truth in COCO form: images named by SOPInstanceUID or by file; boxes, polygons and run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radvit.data.sources.truth import Key, Known, Mark, Runs, Truth, TruthFiles, class_numbers, reading
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

_EXPECTED = (
    "COCO: images with id and sop_instance_uid or file_name, annotations with image_id, category_id, bbox, "
    "and categories with id, name"
)
_BROKEN = {
    "annotation": "a bbox that isn't four numbers, or a segmentation that is neither polygons nor run lengths",
    "image": "a height, width or frame that is no number",
}


def read_coco(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read a COCO file; identifiers become pseudonyms at once.

    labels: names of the categories to keep, in the order of the classes; others are left out. Raises DataError where
    the file is missing, broken, or has no category of that name, and where an annotation or an image can't be one: with
    its place in the file, counted from 1, and with no identifier of an image.
    """
    path = files.path
    with reading(path, _EXPECTED):
        record = json.loads(path.read_text(encoding="utf-8"))
        ids = {str(category["name"]): category["id"] for category in record["categories"]}
        numbers = class_numbers(path, labels, list(ids))
        classes = {ids[label]: k for label, k in numbers.items()}
        images, annotations = list(record["images"]), list(record["annotations"])
        marks: dict[Any, list[Mark]] = {image["id"]: [] for image in images}
    _refuse_twins(path, len(images), len(marks), "id")
    for place, annotation in enumerate(annotations, 1):
        with _part(path, "annotation", place):
            if annotation["category_id"] not in ids.values():
                raise DataError(f"category_id is none of the {len(ids)} categories")
            if annotation["image_id"] not in marks:
                raise DataError(f"image_id is none of the {len(marks)} images")
            if annotation["category_id"] in classes:
                marks[annotation["image_id"]].append(_mark(annotation, classes))
    known = {}
    for place, image in enumerate(images, 1):
        with _part(path, "image", place):
            known[_key(image, pseudonymizer)] = _known(image, tuple(marks[image["id"]]), pseudonymizer)
    _refuse_twins(path, len(marks), len(known), "name")
    return Truth(known, len(labels), exact=True)


@contextmanager
def _part(path: Path, what: str, place: int) -> Iterator[None]:
    """Say of an error which annotation or image it is about, without quoting it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {what} {place}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        missing = f"no {error.args[0]}; expected {_EXPECTED}"
        told = missing if isinstance(error, KeyError) else _BROKEN[what]
        raise DataError(f"{path}: {what} {place}: {told}") from error


def _refuse_twins(path: Path, all_: int, different: int, what: str) -> None:
    """Refuse images that can't be told apart: the lesions of one would be lost, or be another's."""
    if different < all_:
        raise DataError(f"{path}: {all_} images, but {different} different ones by {what}; expected each of them once")


def _known(image: dict[str, Any], marks: tuple[Mark, ...], pseudonymizer: Pseudonymizer) -> Known:
    size = (int(image["height"]), int(image["width"])) if "height" in image else None
    patient = image.get("patient_id")
    return Known(marks, size=size, patient=pseudonymizer.patient(str(patient)) if patient else None)


def _key(image: dict[str, Any], pseudonymizer: Pseudonymizer) -> Key:
    uid, pseudonym = image.get("sop_instance_uid"), image.get("pseudonym")
    frame = int(image.get("frame", 0))  # not COCO's own: 0-based, for files of several frames
    if pseudonym:  # of the UID, by the same key: what a review of reports exports
        return (str(pseudonym), frame)
    return (pseudonymizer.uid(str(uid)) if uid else str(image["file_name"]), frame)


def _mark(annotation: dict[str, Any], classes: dict[Any, int]) -> Mark:
    told = annotation.get("segmentation") or ()
    outlines = () if isinstance(told, dict) else tuple(_outline(polygon) for polygon in told)
    runs = _runs(told) if isinstance(told, dict) else None
    box = None
    if "bbox" in annotation or not told:
        x, y, width, height = (float(value) for value in annotation["bbox"])
        box = (x, y, x + width, y + height)
    label = classes[annotation["category_id"]]
    return Mark(label, box, outlines, runs, False, _number(annotation, "size_mm"), _number(annotation, "contrast"))


def _outline(polygon: list[float]) -> tuple[float, ...]:
    points = tuple(float(value) for value in polygon)
    if len(points) < 6 or len(points) % 2:
        raise ValueError("a polygon of fewer than three points")
    return points


def _runs(told: dict[str, Any]) -> Runs:
    """Run lengths, a list of numbers or compressed into a string."""
    rows, columns = (int(value) for value in told["size"])
    if isinstance(told["counts"], str):
        runs = Runs(rows, columns, told["counts"].encode("ascii"))
        runs.plane()  # so that a broken one is told of here
        return runs
    return Runs.of_counts([int(count) for count in told["counts"]], rows, columns)


def _number(annotation: dict[str, Any], name: str) -> float | None:
    value = annotation.get(name)
    return None if value is None else float(value)
