"""DEID_REPORT.html and deid_report.json: what a batch did, for an ethics board and for a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from radvit import pages
from radvit.deid.batch_report import ACTIONS, AttributeCount, BatchReport, Safeguards
from radvit.deid.destination import write_whole
from radvit.errors import DeidError
from radvit.plural import counted

PAGE, DATA = "DEID_REPORT.html", "deid_report.json"
FORM = "radvit de-identification report 1"
MOST_ATTRIBUTES = 60  # rows of the page; the data hold all
METER_PX = 110
_FACES = ("CT", "MR", "PT")


def write_report(report: BatchReport, folder: Path) -> Path:
    """Write both files into a folder, each whole or not at all; returns the page's path.

    Raises DeidError where the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(to_dict(report), indent=2, ensure_ascii=False) + "\n"
        for name, text in ((DATA, data), (PAGE, to_html(report))):
            write_whole(folder / name, text.encode())
    except OSError as error:
        raise DeidError(f"can't write the report into {folder}: {error.strerror}") from None
    return folder / PAGE


def to_dict(report: BatchReport) -> dict[str, Any]:
    """The record as JSON holds it, with the sums by action beside it."""
    told = asdict(report)
    told["headers"]["attributes"] = [
        {"keyword": a.keyword, "tag": a.tag, "action": a.action, "elements": a.elements}
        for a in _by_count(report.headers.attributes)
    ]
    told["headers"]["actions"] = report.headers.actions
    return {"form": FORM, **told}


def to_html(report: BatchReport) -> str:
    """The page: one file that needs nothing else, escapes all it is given, and runs no script."""
    actions, ordered = report.headers.actions, _by_count(report.headers.attributes)
    most = max(actions.values(), default=0) or 1
    return pages.load("radvit.deid", "deid_report").render(
        report=report,
        tone=_tone(report),
        summary=_summary(report),
        facts=_facts(report),
        safeguards=_safeguards(report.safeguards),
        actions=[(a, words, actions[a], round(METER_PX * actions[a] / most, 1)) for a, words in ACTIONS.items()],
        meter_px=METER_PX,
        elements=sum(actions.values()),
        attributes=ordered[:MOST_ATTRIBUTES],
        rest=ordered[MOST_ATTRIBUTES:],
        refused=[("quarantined", report.quarantined), ("failed", report.failed)],
        ranges=ranges,
        faces=sum(m.images for m in report.modalities if m.modality in _FACES),
    )


def ranges(numbers: Sequence[int]) -> str:
    """Numbers, sorted, with neighbours in one: `1–3, 7`."""
    runs = []
    for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        runs.append(f"{members[0]}–{members[-1]}" if len(members) > 1 else f"{members[0]}")
    return ", ".join(runs)


def _by_count(attributes: Sequence[AttributeCount]) -> list[AttributeCount]:
    return sorted(attributes, key=lambda a: (-a.elements, a.tag, a.action))


def _tone(report: BatchReport) -> str:
    if report.rescan is not None and report.rescan.hits:
        return "bad"
    unsure = report.rescan is None or report.files.quarantined or report.files.failed or _switched_off(report)
    return "mixed" if unsure else "good"


def _summary(report: BatchReport) -> list[str]:
    """What a hurried reader needs, the most important first."""
    files, scan = report.files, report.rescan
    parts = [f"{files.written:,} written", f"{files.quarantined:,} in quarantine", f"{files.failed:,} failed"]
    said = [f"{counted(files.read, 'file')} read: {', '.join(parts)}."]
    off = _switched_off(report)
    said += [f"{counted(off, 'safeguard')} against text in the pixels switched off; see below."] if off else []
    if scan is None:
        return [*said, "The written files were not searched for identifiers of the originals."]
    what = f"{counted(scan.identifiers, 'identifier')} of the originals"
    searched = f"{counted(scan.files, 'file')} searched for {what}: {counted(scan.hits, 'hit')}"
    return [*said, f"{searched}; don't pass these files on." if scan.hits else f"{searched}."]


def _safeguards(guards: Safeguards) -> list[tuple[str, str, bool]]:
    """What each does, what it means that it is off, and whether it is on."""
    if not guards.search:
        return [("Text is looked for in the pixels", "in no image: what is burned in was left there", False)]
    return [
        (
            "Text is looked for in every image",
            "where the header says BurnedInAnnotation NO, in captures and ultrasound alone; headers err",
            guards.every_image,
        ),
        ("Text is looked for with OCR", "by strokes alone, which miss much of it", guards.thorough),
        (
            "An image that ought to hold text, such as a screenshot, goes to quarantine where none is found",
            "such an image was written as it is",
            guards.quarantine_unfound,
        ),
    ]


def _switched_off(report: BatchReport) -> int:
    return sum(not on for _, _, on in _safeguards(report.safeguards))


def _facts(report: BatchReport) -> list[tuple[str, str]]:
    rows = [
        ("Started", _moment(report.started)),
        ("Ended", _moment(report.ended)),
        ("Run by (OS user)", report.user),
        ("Profile", report.profile),
        ("Pseudonym key, fingerprint", report.key),
        ("Pseudonyms", "of a project of their own" if report.safeguards.project else "of the key, and of no project"),
        ("Software", f"radvit {report.version}"),
        ("Git commit", report.commit),
    ]
    return [(name, value) for name, value in rows if value]


def _moment(iso: str) -> str:
    try:
        return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return iso
