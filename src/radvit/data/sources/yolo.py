"""Boxes and outlines in YOLO's form: a text file an image, a line a lesion, in shares of width and height.

`class cx cy w h` is a box, `class x y x y x y ...` an outline. An empty file is a negative; an image without a file is
unknown, since nobody may have looked.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from radvit.data.sources.csv_labels import SPLITS
from radvit.data.sources.truth import Known, Mark, Truth, TruthFiles, by_name, class_numbers, reading, text_files
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

CLASSES = "classes.txt"
_SETUP = "data.yaml"  # of Ultralytics, in the folder above
_NOT_TRUTH = (CLASSES, "train.txt", "val.txt", "test.txt")


def read_yolo(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read a folder of text files, which lie as the images lie, or have their stems.

    Class numbers are lines of `classes.txt` in that folder, else `names` of a `data.yaml` in it or above it, else
    places in `labels`. A folder `train`, `val` or `test` at the top is the official split. Raises DataError.
    """
    folder = files.path
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected a YOLO text file an image")
    texts = [file for file in text_files(folder) if file.suffix == ".txt" and file.name not in _NOT_TRUTH]
    if not texts:
        raise DataError(f"{folder}: no text files; expected one an image, in YOLO's form")
    classes = _classes(folder, labels)
    known = {}
    for file in texts:
        name = file.relative_to(folder).with_suffix("").as_posix()
        known[name] = Known(_marks(file, classes), split=SPLITS.get(name.split("/")[0]) if "/" in name else None)
    return Truth(by_name(known, pseudonymizer), len(labels))


def _classes(folder: Path, labels: tuple[str, ...]) -> dict[int, int | None]:
    """Our class number of each of theirs; None for one that isn't wanted."""
    places = (folder / CLASSES, folder / _SETUP, folder.parent / _SETUP)
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return {k: k for k in range(len(labels))}
    with reading(file, "names of classes"):
        text = file.read_text(encoding="utf-8")
        told = _setup(text)["names"] if file.name == _SETUP else text.split("\n")
        names = (
            dict(enumerate(told)) if isinstance(told, list) else {int(number): name for number, name in told.items()}
        )
    named = {theirs: str(name).strip() for theirs, name in names.items() if str(name).strip()}
    numbers = class_numbers(file, labels, list(named.values()))
    return {theirs: numbers.get(name) for theirs, name in named.items()}


def _setup(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no YAML") from error


def _marks(file: Path, classes: dict[int, int | None]) -> tuple[Mark, ...]:
    marks = []
    with reading(file, "lines of class cx cy w h, or class x y x y x y ..., in shares of the image"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                theirs, *values = (float(word) for word in line.split())
                mark = _mark(f"{file}: line {number}", theirs, tuple(values), classes)
                marks += [mark] if mark else []
    return tuple(marks)


def _mark(place: str, theirs: float, values: tuple[float, ...], classes: dict[int, int | None]) -> Mark | None:
    if theirs not in classes:
        raise DataError(f"{place}: class {theirs:g} of {len(classes)}; expected data.labels or {CLASSES} to name it")
    if not all(math.isfinite(value) and -0.01 <= value <= 1.01 for value in values):
        raise DataError(f"{place}: a coordinate outside the image; expected shares from 0 to 1")
    label = classes[int(theirs)]
    if label is None:
        return None
    if len(values) == 4:
        x, y, width, height = values
        return Mark(label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), relative=True)
    if len(values) < 6 or len(values) % 2:
        raise DataError(f"{place}: {len(values)} numbers behind the class; expected 4, or an outline of 6 and more")
    return Mark(label, outlines=(values,), relative=True)
