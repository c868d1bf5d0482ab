"""Score de-identified files against the answer key, with the meaning that the MIDI-B scorer gives to its checks.

Independent of `radvit.deid`: the files are read by pydicom. A missing attribute passes where something had to go and
fails where something had to stay; so does a missing file, by which consistency fails, too. Where the original scorer
reads boxes of pixels with an OCR engine, this one compares letters with the original: a letter is hidden where its
pixels no longer follow the original's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.bench.deid.answer import AnswerKey, Category, Check, Row
from radvit.bench.deid.consistency import Identifiers
from radvit.bench.deid.find import Opened
from radvit.bench.deid.tally import Tally
from radvit.dicom.quiet import silence_pydicom

_REMOVED_IF_MISSING = frozenset({Check.TEXT_REMOVED, Check.DATE_SHIFTED, Check.UID_CHANGED, Check.PIXELS_HIDDEN})
_SHORT = 3  # letters below which a word counts only where it stands alone
_ALIKE = 0.5  # correlation with the original from which a letter counts as readable
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that failed, and what stood there instead."""

    row: Row
    found: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.row.to_dict(), "found": self.found}


@dataclass(frozen=True, slots=True)
class Scores:
    """Tallies by check and category; the failed rows; and what the ten checks do not ask.

    missing: inputs without an output that can be read. leaks: (file, secret) of strings that name a patient and stand
    somewhere in the bytes of the patient's outputs. dates: how many shifted dates moved by their patient's own number
    of days.
    """

    tallies: Mapping[tuple[Check, Category], Tally]
    failures: tuple[Failed, ...]
    missing: tuple[str, ...]
    leaks: tuple[tuple[str, str], ...]
    dates: Tally

    def of(self, check: Check | None = None, category: Category | None = None) -> Tally:
        """All rows of a check, of a category, or of both."""
        total = Tally()
        for (one, other), tally in self.tallies.items():
            if check in (None, one) and category in (None, other):
                total = total.plus(tally)
        return total


def score(
    originals: Path, outputs: Path, key: AnswerKey, mapping: Mapping[str, Path], options: Iterable[str]
) -> Scores:
    """Check each row of the key.

    mapping: input, as the key names it, to its output below `outputs`; an input that is not in it counts as missing.
    options: of the profile, such as `clean-descriptors`; rows of other options do not count.
    """
    silence_pydicom()
    asked = frozenset(options) | {""}
    opened = {file: one for file in key.files if (one := _open(outputs, mapping.get(file))) is not None}
    missing = tuple(file for file in key.files if file not in opened)
    identifiers = Identifiers.of(key.rows, opened)
    marks = _Marks()
    for file, rows in key.by_file():
        output = opened.pop(file, None)  # its pixels go with it
        original = Opened(originals / file)
        for row in rows:
            if row.option in asked:
                marks.add(row, *_judged(row, original, output, identifiers))
        if output is not None:
            marks.leaks.extend((file, secret) for secret in _secrets_in(output.path, key.secrets[file]))
    return Scores(marks.tallies, tuple(marks.failures), missing, tuple(marks.leaks), identifiers.dates)


@dataclass(slots=True)
class _Marks:
    tallies: dict[tuple[Check, Category], Tally] = field(default_factory=dict)
    failures: list[Failed] = field(default_factory=list)
    leaks: list[tuple[str, str]] = field(default_factory=list)

    def add(self, row: Row, good: bool, found: str | None) -> None:
        place = row.check, row.category
        self.tallies[place] = self.tallies.get(place, Tally()).with_row(good)
        if not good:
            self.failures.append(Failed(row, found))


def _open(folder: Path, path: Path | None) -> Opened | None:
    if path is None or not (folder / path).is_file():
        return None
    opened = Opened(folder / path)
    try:
        readable = len(opened.dataset) > 0
    except Exception:  # noqa: BLE001 - whatever pydicom raises, the tool wrote no DICOM file
        return None
    return opened if readable else None


def _judged(row: Row, original: Opened, output: Opened | None, identifiers: Identifiers) -> tuple[bool, str | None]:
    """Whether a row passes, and what stands at its place."""
    if output is None:
        return row.check in _REMOVED_IF_MISSING, "(no file)"
    if row.check is Check.PIXELS_HIDDEN:
        return _is_hidden(row, original, output), None
    if row.check is Check.PIXELS_RETAINED:
        return _is_same(row, original, output), None
    found = output.text_at(row.path)
    return _passes(row, found, identifiers), found


def _passes(row: Row, found: str | None, identifiers: Identifiers) -> bool:
    match row.check:
        case Check.TAG_RETAINED:
            return found is not None
        case Check.TEXT_NOTNULL:
            return bool(found)
        case Check.TEXT_RETAINED:
            return found is not None and all(holds(found, word) for word in row.expected)
        case Check.TEXT_REMOVED:
            return not found or (bool(row.expected) and not any(holds(found, word) for word in row.expected))
        case Check.DATE_SHIFTED | Check.UID_CHANGED:
            return not found or not any(value in found for value in row.expected)
        case Check.UID_CONSISTENT | Check.PATID_CONSISTENT:
            return not found or identifiers.agree(row.expected, found)
        case _:
            raise ValueError(f"check {row.check} of a text")


def holds(text: str, word: str) -> bool:
    """Whether a word occurs in a text, in any case: within another, or alone where it is short; numbers by value."""
    low, wanted = text.lower(), word.lower()
    if len(wanted) >= _SHORT and wanted in low:
        return True
    parts = [part.strip(".%") for part in re.split(r"[\s\\^=_,;:/()|]+", low)]
    return wanted in parts or any(_same_number(part, wanted) for part in parts)


def _same_number(one: str, other: str) -> bool:
    try:
        return bool(np.isclose(float(one), float(other), rtol=1e-6, atol=0))
    except ValueError:
        return False


def _is_hidden(row: Row, original: Opened, output: Opened) -> bool:
    """Whether no letter of a line can be made out: in none do the pixels still follow the original's."""
    before, after = _pixels(original), _pixels(output)
    if before is None or after is None or before.shape != after.shape:
        return after is None  # nothing to be seen, or a picture that nobody can compare
    return all(_likeness(_crop(before, box), _crop(after, box)) < _ALIKE for box in row.glyphs)


def _is_same(row: Row, original: Opened, output: Opened) -> bool:
    before, after = _pixels(original), _pixels(output)
    if before is None or after is None or before.shape != after.shape:
        return False
    box = row.box or (0, 0, before.shape[1], before.shape[0])
    return bool(np.array_equal(_crop(before, box), _crop(after, box)))


def _pixels(opened: Opened) -> npt.NDArray[Any] | None:
    """Pixels with rows and columns first. None where there are none that can be decoded."""
    try:
        pixels = opened.pixels
    except Exception:  # noqa: BLE001 - whatever a decoder raises
        return None
    frames = pixels.ndim == 3 and int(opened.dataset.get("SamplesPerPixel", 1)) == 1
    return np.moveaxis(pixels, 0, -1) if frames else pixels


def _crop(pixels: npt.NDArray[Any], box: Sequence[int]) -> npt.NDArray[Any]:
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]


def _likeness(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> float:
    """The correlation of two crops' pixels, whatever its sign; 0 where one of them is flat."""
    a, b = before.astype(np.float64).ravel(), after.astype(np.float64).ravel()
    if a.std() < _FLAT or b.std() < _FLAT:
        return 0.0
    return abs(float(np.corrcoef(a, b)[0, 1]))


def _secrets_in(path: Path, secrets: Iterable[str]) -> list[str]:
    """Those strings that stand in a file's bytes, in any case and in the encodings that files of the cohort use."""
    data = path.read_bytes()
    low = data.lower()  # of ASCII letters alone
    return [
        secret for secret in secrets if secret.lower().encode() in low or any(form in data for form in _encoded(secret))
    ]


def _encoded(text: str) -> set[bytes]:
    """A text that isn't ASCII, in the encodings and cases in which it may stand."""
    forms = set()
    cases = () if text.isascii() else (text, text.lower(), text.upper(), text.title())
    for case, encoding in itertools.product(cases, ("utf-8", "latin-1", "iso8859-5")):
        try:
            forms.add(case.encode(encoding))
        except UnicodeEncodeError:
            continue
    return forms
