"""The boxes of the RSNA Pneumonia Detection Challenge (2018): `stage_2_train_labels.csv`.

One row a box, and one row of Target 0 for an image without one. patientId is the file's stem, in pixels of the file.
Source: Shih et al., "Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert Annotations of
Possible Pneumonia", Radiology: Artificial Intelligence 2019.
"""

from __future__ import annotations

from radvit.data.sources.csv_rows import Row, one_label, rows
from radvit.data.sources.truth import Known, Mark, Truth, TruthFiles, by_name
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

_COLUMNS = ("patientId", "x", "y", "width", "height", "Target")


def read_rsna(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read the CSV. labels: one name for its one class. Raises DataError."""
    one_label(files.path, labels, "RSNA pneumonia")
    marks: dict[str, list[Mark]] = {}
    for row in rows(files.path, _COLUMNS):
        of_image = marks.setdefault(row.name("patientId"), [])
        if row.flag("Target"):
            of_image.append(_mark(row))
    return Truth(by_name({name: Known(tuple(boxes)) for name, boxes in marks.items()}, pseudonymizer), 1)


def _mark(row: Row) -> Mark:
    x, y, width, height = (row.number(column) for column in _COLUMNS[1:5])
    if width <= 0 or height <= 0:
        raise DataError(f"{row.place}: a box without an area")
    return Mark(0, (x, y, x + width, y + height))
