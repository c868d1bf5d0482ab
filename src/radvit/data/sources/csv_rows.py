"""Rows of the CSV files that data sets are published with; their messages name lines and columns, never values."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from radvit.data.sources.truth import reading
from radvit.errors import DataError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a CSV file. place: the file and the line, for messages."""

    place: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def get(self, column: str | None) -> str:
        """The cell of a column that may be missing or unnamed; empty then."""
        return self.cells.get(column, "") if column else ""

    def has(self, *columns: str) -> bool:
        """Whether all of these cells hold something."""
        return all(self.cells[column] not in ("", "nan", "NaN") for column in columns)

    def name(self, column: str) -> str:
        """The name of an image. Raises DataError where it is empty."""
        if not self.cells[column]:
            raise DataError(f"{self.place}: {column} is empty; expected the name of an image")
        return self.cells[column]

    def number(self, column: str) -> float:
        """A finite number. Raises DataError."""
        try:
            value = float(self.cells[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"{self.place}: {column} is no number")
        return value

    def flag(self, column: str) -> bool:
        """0 or 1. Raises DataError where it is anything else, since a blank doesn't say whether anybody looked."""
        value = self.number(column) if self.cells[column] else math.nan
        if value not in (0, 1):
            raise DataError(f"{self.place}: {column} is neither 0 nor 1")
        return value == 1


def rows(path: Path, columns: Collection[str]) -> Iterator[Row]:
    """The rows of a CSV file with a header; spaces around names and cells don't count.

    columns: those it must have. Raises DataError where the file is missing, no CSV, or lacks one of them.
    """
    expected = f"a CSV file with the columns {', '.join(columns)}"
    try:
        with reading(path, expected), path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.reader(file)
            names = [name.strip() for name in next(table, [])]
            missing = [column for column in columns if column not in names]
            if missing:
                raise DataError(f"{path}: no column {', '.join(missing)}; expected {expected}")
            for cells in table:
                if cells:
                    padded = cells + [""] * (len(names) - len(cells))
                    values = {name: cell.strip() for name, cell in zip(names, padded, strict=False)}
                    yield Row(f"{path}: line {table.line_num}", values)
    except csv.Error as error:
        raise DataError(f"{path}: can't be read as CSV; expected {expected}") from error


def one_label(path: Path, labels: tuple[str, ...], format_name: str) -> None:
    """Raise DataError where a format of one class is read with more or fewer labels."""
    if len(labels) != 1:
        raise DataError(f"{path}: {format_name} has one class; expected one name in data.labels, found {len(labels)}")
