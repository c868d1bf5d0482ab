"""report.signed.html: a report with what a reader made of it; which findings a person changed is said first."""

from __future__ import annotations

from radvit import pages
from radvit.report import wording
from radvit.report.build import Report
from radvit.report.html import Picture
from radvit.report.plain import plain
from radvit.report.review import Action, Entry, Review, Reviewed, reviewed
from radvit.report.wording import Words

SIGNED = "report.signed.html"


def to_signed(report: Report, review: Review, pictures: tuple[Picture, ...], language: str) -> str:
    """The page, in the report's language; where nobody has signed yet it says that it is a draft."""
    w = wording.words(language)
    return pages.load("radvit.report", "signed", "review").render(
        w=w,
        report=report,
        patient=plain(report.patient),
        pictures=pictures,
        standing=standing(review, w),
        changed=changed_sentence(report, review, w),
        rows=[row(report, one, w) for one in reviewed(report, review)],
    )


def standing(review: Review, w: Words) -> str:
    """Who stands for the review, or that nobody does."""
    if review.signed is None or not review.is_signed:
        return w["review.unsigned"]
    return w["review.signed"].format(name=review.signed.by, time=review.signed.at)


def changed_sentence(report: Report, review: Review, w: Words) -> str:
    """Which findings a person changed, added or rejected."""
    numbers = [str(one.number) for one in reviewed(report, review) if one.is_changed]
    if not numbers:
        return w["review.changed.none"]
    return w.counted("review.changed", len(numbers), numbers=w.listed(numbers))


def row(report: Report, one: Reviewed, w: Words) -> dict[str, object]:
    """A finding for a page: what the model said, the decision with who and when, and what it is now."""
    said = {item.number: wording.finding_sentence(item, w) for item in report.findings}.get(one.number)
    return {
        "number": one.number,
        "image": one.image,
        "stands": one.stands,
        "action": "open" if one.entry is None else str(one.entry.action),
        "word": w["review.open"] if one.entry is None else w[f"review.{one.entry.action}"],
        "by": "" if one.entry is None else w["review.by"].format(name=one.entry.by, time=one.entry.at),
        "note": "" if one.entry is None else one.entry.note,
        "model": w["review.model"].format(sentence=said) if said else "",
        "now": w["review.now"].format(what=_now(one, w)) if one.is_changed and one.stands else "",
        "type": one.type,
        "side": one.side or "",
        "box": "" if one.box_px is None else ", ".join(f"{value:.1f}" for value in one.box_px),
    }


def _now(one: Reviewed, w: Words) -> str:
    """What a changed finding is now: only what the reader said of it, and its type."""
    entry: Entry | None = one.entry
    parts = [w.name(one.type)]
    if entry is not None and entry.side is not None:
        parts.append(w["place.side"].format(side=w[f"side.{entry.side}"]))
    if entry is not None and (entry.box_px is not None or entry.action is Action.ADD) and one.box_px is not None:
        corners = ", ".join(f"{value:.0f}" for value in one.box_px)
        parts.append(f"{w['review.box']} {corners}")
    return w["sentence.join"].join(parts)
