"""The words of a comparison with an earlier study; every sentence follows from the comparison's own values."""

from __future__ import annotations

from radvit.records import SpacingPlane
from radvit.report import wording
from radvit.report.build import Report
from radvit.report.verdicts import Change, Comparison, Size, Status, Verdict
from radvit.report.wording import Words

SIZED = frozenset({Verdict.GROWN, Verdict.SHRUNK, Verdict.STABLE})


def compared_with(comparison: Comparison, w: Words) -> list[str]:
    """With which study, or why with none; then which other studies have no place in the order."""
    prior = comparison.prior
    if prior is None:
        sentences = [w[f"comparison.{comparison.status.value}"]]
    else:
        sentences = [w.counted("comparison.with", prior.days, date=prior.date)]
        if not comparison.changes:
            sentences.append(w["comparison.nothing"])
    for key, n in (("same_day", comparison.same_day), ("undated", comparison.undated)):
        if n:
            sentences.append(w.counted(f"comparison.{key}", n))
    return sentences


def change(item: Change, w: Words) -> tuple[str, str]:
    """The verdict in a word or two, and a sentence that gives its reason."""
    return w[f"verdict.{item.verdict.value}"], _what(item, w) + w["change.colon"] + _why(item, w)


def told(comparison: Comparison, w: Words, between: str | None = None) -> list[str]:
    """All that a comparison says, where no page sets a verdict off from its reason. between: the two; else a colon."""
    colon = w["change.colon"] if between is None else between
    return [*compared_with(comparison, w), *(colon.join(change(item, w)) for item in comparison.changes)]


def change_of(report: Report, number: int) -> Change | None:
    """What became of one of the report's findings; None where the comparison doesn't speak of it."""
    changes = () if report.comparison is None else report.comparison.changes
    return next((item for item in changes if item.number == number), None)


def limits(report: Report, w: Words) -> list[str]:
    """What the comparison can't say; nothing where nothing was compared."""
    comparison = report.comparison
    if comparison is None or comparison.status is not Status.COMPARED or comparison.criteria is None:
        return []
    criteria, verdicts = comparison.criteria, {item.verdict for item in comparison.changes}
    sentences = []
    if any(item.number and item.prior_number for item in comparison.changes):
        sentences.append(w["limit.matched"])
    if verdicts & SIZED:
        values = {"mm": f"{criteria.change_mm:g}", "percent": f"{criteria.change_percent:g}"}
        sentences.append(w["limit.change"].format(**values))
    if any(item.size and item.size.plane is SpacingPlane.DETECTOR for item in comparison.changes):
        sentences.append(w["limit.distance"])
    if verdicts & {Verdict.NEW, Verdict.GONE}:
        sentences.append(w["limit.crossed"].format(mention=f"{report.bands.mention:.2f}"))
    return sentences


def _what(item: Change, w: Words) -> str:
    """`Finding 1, nodule in the right upper zone`."""
    where = wording.place(item.location, w)
    named = w["change.placed" if where else "change.unplaced"].format(name=w.name(item.type), place=where)
    if item.number is not None:
        return w["change.finding"].format(n=item.number, what=named)
    return w["change.earlier"].format(n=item.prior_number, what=named)


def _why(item: Change, w: Words) -> str:
    if item.size is not None:
        return _sizes(item.size, w)
    key = f"change.{item.verdict.value}"
    if item.verdict in (Verdict.UNSHOWN, Verdict.UNCLEAR):
        key += ".before" if item.number is not None else ".now"
    unknown = item.verdict in (Verdict.NEW, Verdict.GONE) and item.shown is None and item.location.side is not None
    return w[key] + (w["change.shown_unknown"] if unknown else "")


def _sizes(size: Size, w: Words) -> str:
    values = {"before": f"{size.before_mm:.1f}", "now": f"{size.now_mm:.1f}", "plane": w[f"plane.{size.plane.value}"]}
    return w["change.size"].format(mm=_signed(size.change_mm, 1), percent=_signed(size.change_percent, 0), **values)


def _signed(value: float, digits: int) -> str:
    """A number with its sign; what rounds to zero has none."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if rounded else f"{0:.{digits}f}"
