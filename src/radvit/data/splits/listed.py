"""Splits from a file: another run's splits.json, or a CSV that says where each image or patient goes."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from radvit.data.samples import Cohort, Sample
from radvit.data.splits.by_patient import carve
from radvit.data.splits.record import NAMES, Splits, load_splits, uids
from radvit.errors import DataError
from radvit.forms import PATIENT, UID
from radvit.plural import counted

logger = logging.getLogger(__name__)


class Pseudonyms(Protocol):
    """What turns an original identifier into its pseudonym; see radvit.deid.pseudonym.Pseudonymizer."""

    def patient(self, patient_id: str) -> str:
        """Of a PatientID."""
        ...

    def uid(self, uid: str) -> str:
        """Of a SOPInstanceUID."""
        ...


def read_splits(path: Path, cohort: Cohort, pseudonyms: Pseudonyms, val: float = 0.1, seed: int = 0) -> Splits:
    """The splits of a file. A CSV has the columns `image,split` or `patient,split`.

    Names in a CSV are pseudonyms, or original ones, which become pseudonyms here. Images that it doesn't name stand in
    no split. val: share of the training patients that becomes val where the file has no val. Raises DataError, never
    quoting a name, where the file is neither, contradicts itself or fits no image.
    """
    if path.suffix.lower() != ".csv":
        return load_splits(path, cohort.samples)
    what, named = _rows(path)
    known = {_pseudonym(name, what, pseudonyms): split for name, split in named.items()}
    of = [known.get(_name(sample, what)) for sample in cohort.samples]
    _check_found(path, what, len(known), {_name(sample, what) for sample in cohort.samples} & set(known))
    left = sum(split is None for split in of)
    if left:
        logger.warning("%s: %s in no split, because it doesn't name them", path, counted(left, "image"))
    train, tuned, test = ([i for i, split in enumerate(of) if split == name] for name in NAMES)
    if train and "val" not in known.values():
        train, tuned = carve(cohort.samples, train, val, seed)
    return Splits(tuple(train), tuple(tuned), tuple(test), uids(cohort.samples))


def _rows(path: Path) -> tuple[str, dict[str, str]]:
    """`image` or `patient`, and the split of each."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            rows: list[Mapping[str, str | None]] = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: can't be read as a CSV of splits ({type(error).__name__})") from error
    what = next((name for name in ("image", "patient") if name in columns), None)
    if what is None or "split" not in columns:
        raise DataError(f"{path}: no columns image,split or patient,split")
    named: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        name, split = (row[what] or "").strip(), (row["split"] or "").strip().lower()
        if not name or split not in NAMES:
            raise DataError(f"{path}: line {number}: no {what} or no split of {', '.join(NAMES)}")
        if named.setdefault(name, split) != split:
            raise DataError(f"{path}: line {number}: this {what} stands in {named[name]} and in {split}")
    return what, named


def _check_found(path: Path, what: str, named: int, found: set[str]) -> None:
    if not found:
        raise DataError(f"{path}: none of its {counted(named, what)} is in this data set; expected this data's names")
    if len(found) < named:
        logger.warning("%s: %d of its %s are not in this data set", path, named - len(found), counted(named, what))


def _pseudonym(name: str, what: str, pseudonyms: Pseudonyms) -> str:
    if what == "patient":
        return name if PATIENT.match(name) else pseudonyms.patient(name)
    uid, hash_, frame = name.partition("#")
    return (uid if UID.match(uid) else pseudonyms.uid(uid)) + hash_ + frame


def _name(sample: Sample, what: str) -> str:
    return sample.header.patient if what == "patient" else sample.name
