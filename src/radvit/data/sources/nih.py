"""Labels, boxes and official split of NIH ChestX-ray14, in the CSV files that it is published with.

`Data_Entry_2017.csv` (or `_v2020`) tells the findings of each of 112,120 images, `BBox_List_2017.csv` the boxes of 880.
Source: Wang et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised
Classification and Localization of Common Thorax Diseases", CVPR 2017.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from radvit.data.sources.csv_rows import Row, rows
from radvit.data.sources.truth import OFFICIAL_LISTS, Known, Mark, Truth, TruthFiles, by_name, class_numbers, reading
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
NO_FINDING = "No Finding"
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")
_BOX_NAMES = {"Infiltrate": "Infiltration"}  # the list of boxes has another word for it
_AGE = re.compile(r"0*([0-9]{1,3})Y?\Z")  # 058Y in 2017, 58 in 2020
_OLDEST = 89  # PS3.15 lets ages stand up to here; a few entries are typing errors of some hundred years

Marks = dict[str, list[Mark]]


def read_nih(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read the findings, the boxes where files.boxes names them, and the official lists where they lie beside them.

    With boxes, an image that has a finding of `labels` which nobody boxed is left out: to a detector it would look
    like a negative. Raises DataError.
    """
    numbers = class_numbers(files.path, labels, FINDINGS)
    boxes = _boxes(files.boxes, numbers) if files.boxes else {}
    splits = official_lists(files.path.parent)
    known: dict[str, Known] = {}
    for row in rows(files.path, _COLUMNS):
        name = row.name("Image Index")
        marks = tuple(boxes.get(name, ()))
        present = frozenset(numbers[word] for word in _findings(row) if word in numbers)
        if files.boxes is None or present <= {mark.label for mark in marks}:
            known[name] = _known(row, marks, present, splits.get(name), pseudonymizer)
    return Truth(by_name(known, pseudonymizer), len(labels))


def _known(
    row: Row, marks: tuple[Mark, ...], present: frozenset[int], split: str | None, pseudonymizer: Pseudonymizer
) -> Known:
    age = _AGE.match(row["Patient Age"])
    years = int(age.group(1)) if age else _OLDEST + 1
    return Known(
        marks,
        present,
        patient=pseudonymizer.patient(row["Patient ID"]),
        split=split,
        view=row["View Position"] if row["View Position"] in ("PA", "AP") else None,
        sex=row["Patient Gender"] if row["Patient Gender"] in ("M", "F") else None,
        age=f"{years:03d}Y" if years <= _OLDEST else None,
    )


def _findings(row: Row) -> list[str]:
    words = row["Finding Labels"].split("|")
    unknown = [word for word in words if word not in FINDINGS and word != NO_FINDING]
    if unknown:
        raise DataError(f"{row.place}: a finding that isn't one of ChestX-ray14's {len(FINDINGS)} or {NO_FINDING}")
    return words


def official_lists(folder: Path) -> dict[str, str]:
    """`train` or `test` by name of an image, from the official lists; empty where neither lies in the folder."""
    found: dict[str, str] = {}
    for list_name, split in zip(OFFICIAL_LISTS, ("train", "test"), strict=True):
        if (folder / list_name).is_file():
            found |= dict.fromkeys((folder / list_name).read_text(encoding="utf-8").split(), split)
    return found


def _boxes(path: Path, numbers: dict[str, int]) -> Marks:
    """Boxes by image. The header is odd, `Image Index,Finding Label,Bbox [x,y,w,h],,,`, so that cells go by place."""
    expected = "BBox_List_2017.csv: image, finding, x, y, w, h"
    marks: Marks = {}
    with reading(path, expected), path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.reader(file)
        next(table, None)
        for cells in table:
            if not cells:
                continue
            name, finding = cells[0].strip(), cells[1].strip()
            x, y, width, height = (float(cell) for cell in cells[2:6])
            label = numbers.get(_BOX_NAMES.get(finding, finding))
            if label is not None:
                marks.setdefault(name, []).append(Mark(label, (x, y, x + width, y + height)))
    return marks
