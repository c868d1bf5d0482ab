"""The answer key: what a de-identified file must still hold and what it must not, written as the file is made.

The checks follow the MIDI-B challenge's scorer (Rutherford et al., Medical Image De-Identification Benchmark): each row
names a file, a place in it and one check. Nothing here looks at what the tool under test thinks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from radvit.errors import DataError

PIXELS, PREAMBLE = "pixels", "preamble"
KEY_FILE, SECRETS_FILE = "key.jsonl", "secrets.json"
_STOP_WORDS = frozenset({"a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to"})
_EDGES = ".,;:!?()[]{}<>\"'#/"


class Check(Enum):
    """The ten checks, in the order in which tables show them."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_REMOVED = "text_removed"
    TEXT_RETAINED = "text_retained"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_HIDDEN = "pixels_hidden"
    PIXELS_RETAINED = "pixels_retained"


class Category(Enum):
    """What a planted value is: it names a person, it helps to find one, or it does neither."""

    DIRECT = "direct"
    INDIRECT = "indirect"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to check.

    file: input, relative to the cohort, with forward slashes. path: as `Place` writes it, or PIXELS or PREAMBLE.
    value: as planted. expected: the words to look for; none means that no value at all may be left. kind: what was
    planted there, for reading the failures. patient: its number. box: left, top, right, bottom, pixels, of the last
    two checks; none is the whole picture. glyphs: the box of each letter. option: of the profile, without which the row
    does not count.
    """

    file: str
    path: str
    check: Check
    category: Category
    value: str
    expected: tuple[str, ...] = ()
    kind: str = ""
    patient: int = 0
    box: tuple[int, int, int, int] | None = None
    glyphs: tuple[tuple[int, int, int, int], ...] = ()
    option: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "check": self.check.value, "category": self.category.value}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Row:
        """Raises DataError where a field is missing, unknown or of another form."""
        try:
            boxes = {"box": _box(values["box"]), "glyphs": tuple(_box(box) for box in values["glyphs"])}
            enums = {"check": Check(values["check"]), "category": Category(values["category"])}
            return Row(**{**values, **boxes, **enums, "expected": tuple(values["expected"])})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"a row of the answer key can't be read: {type(error).__name__}") from None


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """All rows, and of each file the strings that may stand nowhere in its copy."""

    rows: tuple[Row, ...]
    secrets: Mapping[str, tuple[str, ...]]

    @property
    def files(self) -> tuple[str, ...]:
        """Every input, in order."""
        return tuple(self.secrets)

    def by_file(self) -> Iterator[tuple[str, list[Row]]]:
        """Each input with its rows."""
        rows: dict[str, list[Row]] = {file: [] for file in self.secrets}
        for row in self.rows:
            rows[row.file].append(row)
        yield from rows.items()


def write_key(folder: Path, key: AnswerKey) -> None:
    """Write the rows as JSON lines, and the secrets beside them."""
    lines = (json.dumps(row.to_dict(), ensure_ascii=False) for row in key.rows)
    (folder / KEY_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / SECRETS_FILE).write_text(json.dumps(key.secrets, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_key(folder: Path) -> AnswerKey:
    """What write_key wrote. Raises DataError where it isn't there or can't be read."""
    try:
        lines = (folder / KEY_FILE).read_text(encoding="utf-8").splitlines()
        secrets = json.loads((folder / SECRETS_FILE).read_text(encoding="utf-8"))
        rows = tuple(Row.from_dict(json.loads(line)) for line in lines)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no answer key that can be read: {type(error).__name__}") from None
    return AnswerKey(rows, {file: tuple(words) for file, words in secrets.items()})


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text that are looked for: no stop words, no punctuation around them, parts of names apart."""
    parts = (part.strip(_EDGES) for part in re.split(r"[\s\\^=_]+", text))
    return tuple(part for part in parts if any(map(str.isalnum, part)) and part.lower() not in _STOP_WORDS)


def _box(values: Sequence[int] | None) -> Any:
    if values is None:
        return None
    left, top, right, bottom = (int(value) for value in values)
    return left, top, right, bottom
