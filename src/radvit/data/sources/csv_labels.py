"""Labels in a plain CSV: one row an image, one column of 0 and 1 a label, and columns for patient and split."""

from __future__ import annotations

from radvit.data.sources.csv_rows import Row, rows
from radvit.data.sources.truth import Columns, Known, Truth, TruthFiles, by_name
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_csv_labels(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read the CSV. Its image column holds paths, file names, stems or SOPInstanceUIDs.

    Raises DataError where a column is missing, an image stands twice, or a label is neither 0 nor 1.
    """
    columns = files.columns
    wanted = [column for column in (columns.image, columns.patient, columns.split) if column]
    known: dict[str, Known] = {}
    for row in rows(files.path, [*wanted, *labels]):
        name = row.name(columns.image)
        if name in known:
            raise DataError(f"{row.place}: an image that stands in an earlier line too; expected one line an image")
        present = frozenset(k for k, label in enumerate(labels) if row.flag(label))
        patient = row.get(columns.patient)
        known[name] = Known(
            present=present,
            patient=pseudonymizer.patient(patient) if patient else None,
            split=_split(row, columns),
        )
    return Truth(by_name(known, pseudonymizer), len(labels))


def _split(row: Row, columns: Columns) -> str | None:
    word = row.get(columns.split).lower()
    if word and word not in SPLITS:
        raise DataError(f"{row.place}: {columns.split} names no split; expected train, val or test")
    return SPLITS.get(word)
