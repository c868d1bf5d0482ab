"""index.html: the studies of an output folder as one table, the most suspicious first; it needs nothing else.

Only what the table shows is read out of each findings.json, and none of it is trusted: text becomes one printable line
of bounded length, and a file whose values are of another kind counts as unreadable.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from radvit import pages
from radvit.inference.manifest import NAME, Row, State, read_manifest
from radvit.report import wording
from radvit.report.build import Band
from radvit.report.plain import plain
from radvit.report.wording import Words

log = logging.getLogger(__name__)

INDEX = "index.html"
FINDINGS = "findings.json"
PAGE = "report.html"
ORDER = (Band.HIGH.value, Band.MODERATE.value, Band.LOW.value, Band.NONE.value, "")  # of Entry.band
DAYS = {"Y": 365.25, "M": 30.44, "W": 7.0, "D": 1.0}  # of the units of a DICOM age, PS3.5 6.2


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table. band: empty where the study has no result; link: empty where it has no page."""

    study: str
    state: str
    error: str = ""
    link: str = ""
    band: str = ""
    score: float | None = None
    count: int | None = None
    types: str = ""
    patient: str = ""
    date: str = ""
    age: str = ""
    days: float | None = None
    sex: str = ""
    kind: str = ""

    @property
    def rank(self) -> int:
        """How suspicious its band is: 4 for the most, 0 for a study without a result."""
        return len(ORDER) - 1 - ORDER.index(self.band)


def write_index(output: Path, language: str) -> int:
    """Write output/index.html, at once, in `en` or `zh`, and return how many studies it lists.

    A findings.json that can't be read is counted on the page and named on the log. Raises ConfigError for another
    language and DataError where manifest.csv is something else.
    """
    w = wording.words(language)
    rows = {row.study: row for row in read_manifest(output / NAME)}
    folders = {path.parent.name: path.parent for path in output.glob(f"*/{FINDINGS}") if path.parent.name[0] != "."}
    entries, skipped = [], 0
    for study in sorted(rows.keys() | folders.keys()):
        folder, row = folders.get(study), rows.get(study)
        said = _read(folder, w) if folder else {}
        if said is None:
            skipped += 1
            if row is None:
                continue
        entries.append(_entry(study, folder, row, said, w))
    entries.sort(key=lambda entry: (-entry.rank, -(entry.score or 0.0)))  # stable: then by pseudonym
    draft = output / f".{INDEX}.part"
    draft.write_text(_page(entries, skipped, w), encoding="utf-8")
    draft.replace(output / INDEX)
    return len(entries)


def _page(entries: list[Entry], skipped: int, w: Words) -> str:
    counts = Counter(entry.band for entry in entries)
    bands = [(band, _band(band, w), counts[band]) for band in ORDER if counts[band]]
    return pages.load("radvit.report", "index", base="report").render(
        w=w,
        entries=[(entry, _band(entry.band, w)) for entry in entries],
        bands=bands,
        shown=w["index.shown"].format(n=len(entries), total=len(entries)),
        skipped=w.counted("index.skipped", skipped) if skipped else "",
    )


def _entry(study: str, folder: Path | None, row: Row | None, said: dict[str, Any] | None, w: Words) -> Entry:
    """The row of one study. said: what its findings.json says; empty where it has none, None where it is unreadable."""
    state = row.state.value if row else State.DONE.value
    if said is None and state == State.DONE.value:
        state = "unreadable"
    linked = folder is not None and (folder / PAGE).is_file()
    link = f"./{quote(folder.name, safe='')}/{PAGE}" if folder and linked else ""
    return Entry(plain(study), w[f"state.{state}"], plain(row.error) if row else "", link, **(said or {}))


def _read(folder: Path, w: Words) -> dict[str, Any] | None:
    """What a folder's findings.json says, as fields of an Entry; None where it can't be read."""
    try:
        return _said(json.loads((folder / FINDINGS).read_text(encoding="utf-8")), w)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        log.warning("%s of %s could not be read: %s", FINDINGS, plain(folder.name), type(error).__name__)
        return None


def _said(form: dict[str, Any], w: Words) -> dict[str, Any]:
    """The fields of an Entry that a findings.json holds. Raises ValueError for a score or band that is none."""
    found, images, age = form["findings"], form["images"], plain(form["patient"]["age"])
    scores = [float(item["score"]) for item in found]
    band = Band(form["impression"]).value
    if not all(0 <= score <= 1 for score in scores):
        raise ValueError("a score outside 0 to 1")
    modalities = _each(images, lambda image: wording.modality(plain(image["modality"]), w))
    views = _each(images, lambda image: wording.view(plain(image["view"]), w) if image["view"] else "")
    return {
        "band": band,
        "score": max(scores, default=None),
        "count": len(found),
        "types": plain(w["list.comma"].join(_each(found, lambda item: _what(item, w)))),
        "patient": plain(form["patient"]["pseudonym"]),
        "date": plain(form["study_date"]),
        "age": wording.age(age, w) if age else "",
        "days": _days(age),
        "sex": wording.sex(plain(form["patient"]["sex"]), w) if form["patient"]["sex"] else "",
        "kind": plain(" · ".join(w["list.comma"].join(names) for names in (modalities, views) if names)),
    }


def _what(item: dict[str, Any], w: Words) -> str:
    """The type of a finding with its side, where that is told."""
    name, side = w.name(plain(item["type"])), item["location"]["side"]
    return w["code"].format(name=name, code=w[f"side.{side}"]) if side else name


def _each(items: list[dict[str, Any]], told: Callable[[dict[str, Any]], str]) -> list[str]:
    """What is told of the items, each different value once, without those of which nothing is."""
    return [text for text in dict.fromkeys(told(item) for item in items) if text]


def _days(age: str) -> float | None:
    """A DICOM age in days, to sort by; None for what is none."""
    told = len(age) == 4 and age[:3].isdecimal() and age[3] in DAYS
    return int(age[:3]) * DAYS[age[3]] if told else None


def _band(band: str, w: Words) -> str:
    """The word for a band; for none, that the study was not read."""
    return w[f"band.{band}"] if band else w["index.unread"]
