"""report.signed.html: a report with what a reader made of it; which findings a person changed is said first."""

from __future__ import annotations

from typing import Any

from radvit import pages
from radvit.records import Geometry
from radvit.report import wording
from radvit.report.build import Report
from radvit.report.html import TAGS_A_SIDE, Picture
from radvit.report.plain import plain
from radvit.report.review import Action, Box, Entry, Review, Reviewed, reviewed
from radvit.report.wording import Words

SIGNED = "report.signed.html"


def to_signed(report: Report, review: Review, pictures: tuple[Picture, ...], language: str) -> str:
    """The page, in the report's language; where nobody has signed yet it says that it is a draft."""
    w = wording.words(language)
    return pages.load("radvit.report", "signed", "review").render(
        w=w,
        title=wording.title(report, w),
        report=report,
        patient=plain(report.patient),
        pictures=[(picture, report.images[picture.image - 1].geometry) for picture in pictures],
        standing=standing(review, w),
        changed=changed_sentence(report, review, w),
        rows=[row(report, one, w) for one in reviewed(report, review)],
    )


def standing(review: Review, w: Words) -> str:
    """Who stands for the review, or that nobody does."""
    if review.signed is None or not review.is_signed:
        return w["review.unsigned"]
    return w["review.signed"].format(name=review.signed.by, time=_clock(review.signed.at))


def changed_sentence(report: Report, review: Review, w: Words) -> str:
    """Which findings a person changed, added or rejected."""
    numbers = [str(one.number) for one in reviewed(report, review) if one.is_changed]
    if not numbers:
        return w["review.changed.none"]
    return w.counted("review.changed", len(numbers), numbers=w.listed(numbers))


def tag(number: int, box: Box | None, geometry: Geometry) -> dict[str, float]:
    """Where the tag with a finding's number stands: on its box, within the image. All in the image's pixels."""
    digit = max(geometry.rows, geometry.columns) / TAGS_A_SIDE
    width, height = digit * (0.6 * len(str(number)) + 0.7), 1.3 * digit
    x, y = (0.0, 0.0) if box is None else (min(box[0], geometry.columns - width), box[1] - height)
    return {"x": max(x, 0.0), "y": max(y, 0.0), "width": width, "height": height}


def row(report: Report, one: Reviewed, w: Words) -> dict[str, Any]:
    """A finding for a page: what the model said, the decision with who and when, and what it is and where it lies."""
    said = {item.number: wording.finding_sentence(item, w) for item in report.findings}.get(one.number)
    return {
        "number": one.number,
        "image": one.image,
        "stands": one.stands,
        "action": "open" if one.entry is None else str(one.entry.action),
        "word": w["review.open"] if one.entry is None else w[f"review.{one.entry.action}"],
        "by": "" if one.entry is None else w["review.by"].format(name=one.entry.by, time=_clock(one.entry.at)),
        "note": "" if one.entry is None else one.entry.note,
        "model": w["review.model"].format(sentence=said) if said else "",
        "now": w["review.now"].format(what=_now(one, w)) if one.is_changed and one.stands else "",
        "type": one.type,
        "side": one.side or "",
        "tag": tag(one.number, one.box_px, report.images[one.image - 1].geometry),
        "corners": one.box_px,
        "box": "" if one.box_px is None else ", ".join(f"{value:.1f}" for value in one.box_px),
    }


def _clock(at: str) -> str:
    """A time in UTC as one reads it."""
    return at.replace("T", " ").removesuffix("Z").removesuffix("+00:00")


def _now(one: Reviewed, w: Words) -> str:
    """What a changed finding is now: only what the reader said of it, and its type."""
    entry: Entry | None = one.entry
    parts = [w.name(one.type)]
    if entry is not None and entry.side is not None:
        parts.append(w["place.side"].format(side=w[f"side.{entry.side}"]))
    if entry is not None and (entry.box_px is not None or entry.action is Action.ADD) and one.box_px is not None:
        x1, y1, x2, y2 = (f"{value:.0f}" for value in one.box_px)
        parts.append(w["review.corners"].format(x1=x1, y1=y1, x2=x2, y2=y2))
    return w["sentence.join"].join(parts)
