"""What a reader says of a report's findings: kept beside them in review.json, never in their place.

Every decision is an entry with who and when; the last one on a finding counts, and none is ever removed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from radvit.errors import ConfigError, DataError
from radvit.origin import now
from radvit.report.build import Report, ReportImage

REVIEW = "review.json"
FORMAT = "radvit.review/1"
LONGEST = 2000  # characters of a note or a name
SIDES = ("left", "right")
Box = tuple[float, float, float, float]


class Action(StrEnum):
    """What a reader makes of a finding. ADD: one that the model has not found."""

    ACCEPT = "accept"
    REJECT = "reject"
    EDIT = "edit"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision. number: of the finding; of an added one the next free number. at: ISO 8601, UTC.

    type, side, box_px: of an edited or added finding, as they are to be; None leaves what the model said. image: number
    of the image of an added finding.
    """

    number: int
    action: Action
    by: str
    at: str
    type: str | None = None
    side: str | None = None
    box_px: Box | None = None
    image: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who stands for a review, and since when. entries: how many of its entries were there then."""

    by: str
    at: str
    entries: int


@dataclass(frozen=True, slots=True)
class Review:
    """All that readers said of one report. report: sha256 of the findings.json that they saw."""

    report: str
    entries: tuple[Entry, ...] = ()
    signed: Signature | None = None

    def decided(self) -> dict[int, Entry]:
        """The decision that counts, by the finding's number."""
        return {entry.number: entry for entry in self.entries}

    @property
    def is_signed(self) -> bool:
        """Whether somebody stands for all of it; a later entry undoes that."""
        return self.signed is not None and self.signed.entries == len(self.entries)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One finding as it stands after the review. entry: the decision, None where nobody has decided.

    number: of an added finding one that the report has not. image: number of its image.
    """

    number: int
    image: int
    type: str
    side: str | None
    box_px: Box | None
    score: float | None
    entry: Entry | None

    @property
    def stands(self) -> bool:
        """Whether it is still a finding."""
        return self.entry is None or self.entry.action is not Action.REJECT

    @property
    def is_changed(self) -> bool:
        """Whether a person made it other than the model."""
        return self.entry is not None and self.entry.action is not Action.ACCEPT


def digest(findings: bytes) -> str:
    """The hash by which a review names the findings.json that it is about."""
    return hashlib.sha256(findings).hexdigest()


def read_review(folder: Path, report: str) -> Review:
    """The review of a study's folder; an empty one where nobody has looked yet. report: digest of its findings.json.

    Raises DataError where it is damaged, or is about another findings.json than the one that lies there.
    """
    path = folder / REVIEW
    if not path.is_file():
        return Review(report)
    try:
        form = json.loads(path.read_text(encoding="utf-8"))
        if form["format"] != FORMAT:
            raise ValueError(f"format {form['format']}; expected {FORMAT}")
        entries = tuple(_entry(one) for one in form["entries"])
        signed = None if form["signed"] is None else Signature(**form["signed"])
        review = Review(str(form["report_sha256"]), entries, signed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a review ({type(error).__name__}: {error})") from error
    if review.report != report:
        raise DataError(f"{path}: about another findings.json than the one beside it; move it away to begin anew")
    return review


def write_review(folder: Path, review: Review) -> None:
    """Write review.json at once, in place of an earlier one."""
    form = {
        "format": FORMAT,
        "report_sha256": review.report,
        "entries": [asdict(entry) for entry in review.entries],
        "signed": None if review.signed is None else asdict(review.signed),
    }
    draft = folder / f".{REVIEW}.part"
    with draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps(form, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / REVIEW)


def with_entry(review: Review, report: Report, entry: Entry) -> Review:
    """The review with one more decision. Raises ConfigError where it doesn't fit the report."""
    check_entry(entry, report, review)
    return replace(review, entries=(*review.entries, entry))


def signed(review: Review, report: Report, by: str) -> Review:
    """The review with somebody standing for it. Raises ConfigError where a finding is undecided or nobody is named."""
    open_ones = [item.number for item in report.findings if item.number not in review.decided()]
    if open_ones:
        raise ConfigError(f"findings {', '.join(map(str, open_ones))} are undecided; accept, edit or reject them first")
    return replace(review, signed=Signature(_name(by), now(), len(review.entries)))


def check_entry(entry: Entry, report: Report, review: Review) -> None:
    """Raise ConfigError where a decision doesn't fit the report that it is about."""
    _name(entry.by)
    if len(entry.note) > LONGEST:
        raise ConfigError(f"a note of {len(entry.note)} characters; expected at most {LONGEST}")
    if entry.side is not None and entry.side not in SIDES:
        raise ConfigError(f"side {entry.side!r}; expected one of {', '.join(SIDES)}")
    if entry.type is not None and not 0 < len(entry.type.strip()) <= 64:
        raise ConfigError("a type of finding has 1 to 64 characters")
    numbers = {item.number for item in report.findings}
    added = {one.number for one in review.entries if one.action is Action.ADD}
    if entry.action is Action.ADD:
        if entry.number != next_number(report, review) or entry.type is None or entry.box_px is None:
            raise ConfigError(f"an added finding has a type, a box and number {next_number(report, review)}")
    elif entry.number not in numbers | added:
        raise ConfigError(f"finding {entry.number}; expected one of {sorted(numbers | added)}")
    image = _image_of(entry, report, review)
    if entry.box_px is not None:
        check_box(entry.box_px, image)


def check_box(box: Box, image: ReportImage) -> None:
    """Raise ConfigError where a box has no extent or doesn't lie on the image."""
    x1, y1, x2, y2 = box
    inside = 0 <= x1 < x2 <= image.geometry.columns and 0 <= y1 < y2 <= image.geometry.rows
    if not (all(map(math.isfinite, box)) and inside):
        size = f"{image.geometry.columns} x {image.geometry.rows}"
        raise ConfigError(f"box {box}; expected x1 < x2 and y1 < y2 within {size} pixels")


def next_number(report: Report, review: Review) -> int:
    """The number of the next finding that a reader adds."""
    return 1 + max([item.number for item in report.findings] + [one.number for one in review.entries], default=0)


def reviewed(report: Report, review: Review) -> list[Reviewed]:
    """All findings as they stand, those that a reader added last."""
    decided = review.decided()
    found = []
    for item in report.findings:
        entry, finding = decided.get(item.number), item.finding
        found.append(
            Reviewed(
                item.number,
                item.image,
                (entry.type if entry else None) or finding.type,
                (entry.side if entry else None) or finding.location.side,
                (entry.box_px if entry else None) or finding.box_px,
                finding.score,
                entry,
            )
        )
    return found + [_added(one, decided[one.number]) for one in review.entries if one.action is Action.ADD]


def _added(first: Entry, last: Entry) -> Reviewed:
    """An added finding with what was said of it later."""
    return Reviewed(
        first.number,
        first.image or 1,
        last.type or first.type or "",
        last.side or first.side,
        last.box_px or first.box_px,
        None,
        replace(last, action=Action.ADD) if last.action in (Action.EDIT, Action.ACCEPT) else last,
    )


def coco(studies: Sequence[tuple[Report, Review]]) -> dict[str, Any]:
    """What readers made of several reports, as COCO ground truth; only studies whose review is signed.

    A finding of the whole image has no box and is left out. Images are named by `pseudonym`, that of their SOP Instance
    UID, by which `data.truth` finds them where the files are read with the same key.
    """
    names: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for report, review in studies:
        if not review.is_signed:
            continue
        ids = {}
        for image in report.images:
            ids[image.number] = len(images) + 1
            size = {"height": image.geometry.rows, "width": image.geometry.columns}
            name = {"pseudonym": image.header.image, "frame": image.header.frame}
            images.append({"id": len(images) + 1, **name, **size})
        for one in reviewed(report, review):
            if one.stands and one.box_px is not None:
                x1, y1, x2, y2 = one.box_px
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": ids[one.image],
                        "category_id": names.setdefault(one.type, len(names) + 1),
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": 0,
                        "reviewed": str(one.entry.action) if one.entry else "",
                    }
                )
    categories = [{"id": number, "name": name} for name, number in names.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _image_of(entry: Entry, report: Report, review: Review) -> ReportImage:
    """The image that a decision is about. Raises ConfigError where there is no such image."""
    number = entry.image
    if entry.action is not Action.ADD:
        known = {item.number: item.image for item in report.findings}
        known |= {one.number: one.image or 1 for one in review.entries if one.action is Action.ADD}
        number = known.get(entry.number)
    for image in report.images:
        if image.number == number:
            return image
    raise ConfigError(f"image {number}; expected 1 to {len(report.images)}")


def _name(by: str) -> str:
    """A reader's name. Raises ConfigError where there is none."""
    if not 0 < len(by.strip()) <= 200:
        raise ConfigError("a reader's name has 1 to 200 characters")
    return by.strip()


def _entry(form: dict[str, Any]) -> Entry:
    box = form["box_px"]
    corners: Box | None = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    return Entry(**{**form, "action": Action(form["action"]), "box_px": corners})
