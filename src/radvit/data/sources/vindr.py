"""The boxes of VinDr-CXR: several radiologists read each training image, and marked what they saw.

Both published forms are read: Kaggle's `train.csv` (image_id, class_name, class_id, rad_id, x_min, ...) and PhysioNet's
`annotations_train.csv` and `annotations_test.csv` (the latter a consensus, without rad_id).
Source: Nguyen et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations", Scientific Data
2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from radvit.data.sources.csv_rows import Row, rows
from radvit.data.sources.truth import Box, Known, Mark, Truth, TruthFiles, by_name, class_numbers
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

NO_FINDING = "No finding"
SAME_LESION_IOU = 0.4
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_COLUMNS = ("image_id", "class_name", *_CORNERS)


@dataclass(slots=True)
class _Lesion:
    """Boxes of one class that overlap, and who drew them."""

    boxes: list[Box] = field(default_factory=list)
    readers: set[str] = field(default_factory=set)

    def mean(self) -> Box:
        x1, y1, x2, y2 = (float(value) for value in np.mean(self.boxes, axis=0))
        return x1, y1, x2, y2


def read_vindr(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read the CSV; files.agreement: how many radiologists must have marked a lesion for it to count.

    Boxes of a class that overlap their lesion's mean box with an IoU of at least 0.4 are one lesion, whose box is the
    mean of theirs. An image whose lesions too few agreed upon is a negative. In a consensus without rad_id each box
    counts. Raises DataError.
    """
    found: dict[str, dict[str, list[_Lesion]]] = {}
    classes: dict[str, None] = {}
    needed = files.agreement
    for row in rows(files.path, _COLUMNS):
        classes.setdefault(row["class_name"])
        of_image = found.setdefault(row.name("image_id"), {})
        if "rad_id" not in row.cells:
            needed = 1
        if row["class_name"] in labels and row.has(*_CORNERS):
            _add(of_image.setdefault(row["class_name"], []), row)
    numbers = class_numbers(files.path, labels, [name for name in classes if name != NO_FINDING])
    known = {name: Known(_agreed(lesions, numbers, needed)) for name, lesions in found.items()}
    return Truth(by_name(known, pseudonymizer), len(labels))


def _agreed(lesions: dict[str, list[_Lesion]], numbers: dict[str, int], needed: int) -> tuple[Mark, ...]:
    every = ((numbers[name], lesion) for name, of_class in lesions.items() for lesion in of_class)
    return tuple(Mark(label, lesion.mean()) for label, lesion in every if len(lesion.readers) >= needed)


def _add(lesions: list[_Lesion], row: Row) -> None:
    """Add a box to the lesion that it overlaps most, or make it one of its own; a reader marks a lesion once."""
    x1, y1, x2, y2 = (row.number(column) for column in _CORNERS)
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"{row.place}: a box without an area")
    box, reader = (x1, y1, x2, y2), row.get("rad_id")
    others = [lesion for lesion in lesions if reader and reader not in lesion.readers]
    best = max(others, key=lambda lesion: _iou(lesion.mean(), box), default=None)
    if best is None or _iou(best.mean(), box) < SAME_LESION_IOU:
        best = _Lesion()
        lesions.append(best)
    best.boxes.append(box)
    best.readers.add(reader)


def _iou(one: Box, other: Box) -> float:
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return across * down / (areas - across * down)
