"""manifest.csv: one row a study, written as each study ends, so that a killed run can go on."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import TextIO

from radvit.errors import DataError

NAME = "manifest.csv"
LONGEST_ERROR = 400


class State(Enum):
    """How a study ended. A failed one is tried again by the next run, the others are not."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the manifest; no field may hold a path, a file's name or an identity."""

    study: str
    state: State
    seconds: float
    n_images: int
    error: str = ""


COLUMNS = tuple(field.name for field in fields(Row))


class Manifest:
    """The rows of earlier runs that count, and an open file that takes new ones."""

    def __init__(self, ended: frozenset[str], file: TextIO) -> None:
        self.ended = ended
        self._file = file

    def append(self, row: Row) -> None:
        """Write one row; it is on the disk when this returns."""
        self._file.write(_line(row))
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_manifest(folder: Path) -> Iterator[Manifest]:
    """Open folder/manifest.csv to go on. Rows of failed studies and a torn last line are dropped, to be tried again.

    Raises DataError where the file there is not a manifest.
    """
    path = folder / NAME
    kept = [row for row in read_manifest(path) if row.state is not State.FAILED]
    draft = path.with_suffix(".csv.part")
    draft.write_text(",".join(COLUMNS) + "\n" + "".join(map(_line, kept)), encoding="utf-8")
    draft.replace(path)
    with path.open("a", encoding="utf-8", newline="") as file:
        yield Manifest(frozenset(row.study for row in kept), file)


def read_manifest(path: Path) -> list[Row]:
    """The whole rows of a manifest; none where there is no file. Raises DataError where it is something else."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # a killed run can leave a torn last line
    lines = list(csv.reader(StringIO(whole)))
    if lines and tuple(lines[0]) != COLUMNS:
        raise DataError(f"{path}: columns {','.join(lines[0])}; expected {','.join(COLUMNS)}")
    try:
        return [Row(study, State(state), float(s), int(n), error) for study, state, s, n, error in lines[1:]]
    except ValueError as error:
        raise DataError(f"{path}: not a manifest: {error}") from error


def _line(row: Row) -> str:
    """One CSV line; control characters of an error become blanks."""
    study, state, seconds, n_images, error = astuple(row)
    text = "".join(c if c.isprintable() else " " for c in error)[:LONGEST_ERROR]
    buffer = StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([study, state.value, f"{seconds:.3f}", n_images, text])
    return buffer.getvalue()
