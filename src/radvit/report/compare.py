"""A report against an earlier one of the same patient: which findings are one lesion, and what became of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np

from radvit.inference.location import is_frontal_chest, shows
from radvit.records import Finding, Location, SpacingPlane
from radvit.report.build import Report
from radvit.report.verdicts import Change, Comparison, Criteria, Prior, Size, Status, Verdict

Key = tuple[str, str | None]
Pairs = list[tuple["Entry", "Entry"]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One lesion of a study, or one type of finding that is judged from whole images.

    findings: those taken for it, the best first. numbers: theirs.
    """

    numbers: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def type(self) -> str:
        """The label."""
        return self.findings[0].type

    @property
    def has_box(self) -> bool:
        """Whether it is a place on an image."""
        return self.findings[0].box_px is not None

    @property
    def location(self) -> Location:
        """Of the best finding that is placed by the lungs; else of the best."""
        return next((f.location for f in self.findings if _is_placed(f.location)), self.findings[0].location)


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a patient's other studies. prior: the report to compare with, of the most recent earlier day.

    same_day, undated: as in Comparison.
    """

    prior: Report | None = None
    same_day: int = 0
    undated: int = 0


def compare(report: Report, history: History, criteria: Criteria) -> Comparison:
    """Compare a study with the patient's most recent earlier one. Only frontal chest radiographs are compared."""
    status = why_not(report)
    prior = history.prior
    if status is not Status.COMPARED or prior is None or prior.study_date is None or report.study_date is None:
        status = Status.NO_PRIOR if status is Status.COMPARED else status
        return Comparison(status, same_day=history.same_day, undated=history.undated)
    days = (date.fromisoformat(report.study_date) - date.fromisoformat(prior.study_date)).days
    told = Prior(prior.study, prior.study_date, days)
    return Comparison(status, told, criteria, changes(report, prior, criteria), history.same_day, history.undated)


def why_not(report: Report) -> Status:
    """What keeps a study from being compared with any other; COMPARED where nothing does."""
    if not report.patient:
        return Status.NO_PATIENT
    if report.study_date is None:
        return Status.NO_DATE
    return Status.COMPARED if has_frontal(report) else Status.NO_FRONTAL


def has_frontal(report: Report) -> bool:
    """Whether any of its images is a frontal chest radiograph."""
    return any(is_frontal_chest(image.header) for image in report.images)


def changes(report: Report, prior: Report, criteria: Criteria) -> tuple[Change, ...]:
    """What became of each finding: this study's by number, then the earlier study's that it lacks."""
    now, before = entries(report), entries(prior)
    pairs = matched(now, before, criteria.within)
    found = [_kept(one, other, criteria) for one, other in pairs]
    found += [_unmatched(one, before, prior, is_new=True) for one in now if all(one is not p[0] for p in pairs)]
    found.sort(key=lambda change: change.number or 0)
    lost = [_unmatched(one, now, report, is_new=False) for one in before if all(one is not p[1] for p in pairs)]
    return (*found, *lost)


def entries(report: Report) -> list[Entry]:
    """The lesions on frontal chest radiographs, best first; what is judged from whole images is one entry a type."""
    frontal = {image.number for image in report.images if is_frontal_chest(image.header)}
    found: list[Entry] = []
    for merged in report.merged:
        items = [report.findings[n - 1] for n in merged.numbers if report.findings[n - 1].image in frontal]
        if not items:
            continue
        entry = Entry(tuple(item.number for item in items), tuple(item.finding for item in items))
        if entry.has_box or all(other.has_box or other.type != entry.type for other in found):
            found.append(entry)
    return found


def matched(now: Sequence[Entry], before: Sequence[Entry], within: float) -> Pairs:
    """Pairs of entries that are one lesion: of one type and side, as many as lie near enough, the nearest together.

    within: largest distance of lung-relative places. What is judged from whole images is paired by its type alone.
    """
    pairs: Pairs = [(a, b) for a, b in product(now, before) if not a.has_box and not b.has_box and a.type == b.type]
    for key in dict.fromkeys(_key(entry) for entry in now if _can_match(entry)):
        one, other = ([entry for entry in group if _can_match(entry) and _key(entry) == key] for group in (now, before))
        pairs += [(one[i], other[j]) for i, j in _assigned(_places(one), _places(other), within)]
    return pairs


def _assigned(one: np.ndarray, other: np.ndarray, within: float) -> Iterator[tuple[int, int]]:
    """Rows of (N, 2) and (M, 2) that belong together: most pairs within the distance, then the smallest sum."""
    if not len(one) or not len(other):
        return
    from scipy.optimize import linear_sum_assignment  # takes long to load, and few studies need it

    apart = np.linalg.norm(one[:, None] - other[None], axis=2)  # (N, M)
    far = within * (1 + min(apart.shape))  # dearer than all the pairs that may be
    cost = np.where(apart <= within, apart, far)
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        if apart[i, j] <= within:
            yield int(i), int(j)


def _places(group: Sequence[Entry]) -> np.ndarray:
    """(N, 2) lung-relative places."""
    return np.array([(entry.location.outwards, entry.location.height) for entry in group], np.float64).reshape(-1, 2)


def _kept(one: Entry, other: Entry, criteria: Criteria) -> Change:
    """A lesion that both studies show."""
    size = _sizes(one, other)
    verdict = Verdict.SEEN if size is None else criteria.verdict(size)
    return Change(verdict, one.type, one.numbers[0], other.numbers[0], one.location, size=size)


def _sizes(one: Entry, other: Entry) -> Size | None:
    """Both sizes, of the best findings that were measured in the same, known plane; None where there are none."""
    for now, before in product(one.findings, other.findings):
        same = now.size_plane is before.size_plane is not SpacingPlane.UNKNOWN
        if same and now.size_mm and before.size_mm:
            return Size(before.size_mm, now.size_mm, now.size_plane)
    return None


def _unmatched(entry: Entry, others: Sequence[Entry], elsewhere: Report, is_new: bool) -> Change:
    """A finding that the other study lacks, or may lack. others: that study's entries."""
    shown = _is_shown(entry, elsewhere)
    if entry.has_box and (not _is_placed(entry.location) or any(_may_be(entry, other) for other in others)):
        verdict, shown = Verdict.UNCLEAR, None
    elif shown is False:
        verdict = Verdict.UNSHOWN
    else:
        verdict = Verdict.NEW if is_new else Verdict.GONE
    number, prior_number = (entry.numbers[0], None) if is_new else (None, entry.numbers[0])
    return Change(verdict, entry.type, number, prior_number, entry.location, shown)


def _may_be(entry: Entry, other: Entry) -> bool:
    """Whether a finding that has no place by the lungs may be this one."""
    if other.type != entry.type or not other.has_box or _can_match(other):
        return False
    return None in (other.location.side, entry.location.side) or other.location.side == entry.location.side


def _is_shown(entry: Entry, elsewhere: Report) -> bool | None:
    """Whether an entry's place lies on any frontal image of the other study; None where no image tells."""
    if not entry.has_box:
        return None
    images = [image for image in elsewhere.images if is_frontal_chest(image.header)]
    told = [shows(entry.location, image.header, image.lungs) for image in images]
    if True in told:
        return True
    return None if None in told else False


def _key(entry: Entry) -> Key:
    return entry.type, entry.location.side


def _can_match(entry: Entry) -> bool:
    return entry.has_box and _is_placed(entry.location)


def _is_placed(location: Location) -> bool:
    return location.side is not None and location.outwards is not None and location.height is not None
