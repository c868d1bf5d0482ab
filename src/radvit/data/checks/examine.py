"""The check itself: before training, where it stops what can't be trusted, and on request, where it tells all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.data.checks.duplicates import look_alikes
from radvit.data.checks.integrity import SHOWN, Problem, problems
from radvit.data.checks.leaks import Leak, find_leaks, refuse_leaks
from radvit.data.checks.outliers import oddities
from radvit.data.samples import Cohort
from radvit.data.splits import NAMES, Splits
from radvit.errors import DataError
from radvit.plural import counted


class Level(Enum):
    """What follows from a remark."""

    STOPS = "stops training"
    LOOK = "to be looked at"
    ACCEPTED = "accepted"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """One line of the check. kind: a short code. count: of images, files, patients or studies, as the words say."""

    level: Level
    kind: str
    count: int
    words: str
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {"level": self.level.value, "kind": self.kind, "count": self.count, "words": self.words}
        return {**values, "names": list(self.names)}


@dataclass(frozen=True, slots=True)
class Examination:
    """All that the check found. counts: by split, of images, patients, studies and of each label."""

    remarks: tuple[Remark, ...]
    counts: Mapping[str, Mapping[str, int]]
    unreadable: Mapping[str, int]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to be looked at: notes and what was accepted don't count."""
        return not any(remark.level in (Level.STOPS, Level.LOOK) for remark in self.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "clean": self.clean,
            "remarks": [remark.to_dict() for remark in self.remarks],
            "splits": {name: dict(counts) for name, counts in self.counts.items()},
            "unreadable": dict(self.unreadable),
        }


def check_cohort(
    cohort: Cohort, splits: Splits, accepted: Collection[str] = (), labelled: bool = True
) -> tuple[Leak, ...]:
    """Raise DataError, naming every problem, where a cohort and its splits can't be trained and measured on.

    accepted: kinds of leak (values of LeakKind) that are let through. labelled: False for pretraining. Returns
    the leaks that were let through. See `problems` and `find_leaks` for what is looked at.
    """
    found = problems(cohort, splits, labelled)
    told = [str(problem) for problem in found]
    leaks = [] if _foreign(cohort, splits) else find_leaks(cohort, splits, look_alikes(cohort, _parts(splits))[1])
    told += filter(None, [refuse_leaks(leaks, accepted)])
    if told:
        raise DataError("the data can't be used: " + "; ".join(told))
    return tuple(leaks)


def check_boxes(cohort: Cohort, splits: Splits) -> None:
    """Raise DataError where no training image has a lesion: a detector would learn to find nothing, and do it well."""
    if not any(cohort.samples[i].lesions for i in splits.train):
        raise DataError(
            "model.task=detect learns from boxes and no training image has one; expected boxes in the truth, or "
            "model.task=classify"
        )


def check_masks(cohort: Cohort) -> None:
    """Raise DataError where there are no masks to learn from."""
    if cohort.masks is None:
        raise DataError("model.task=segment learns from masks and the data have none; expected polygons or mask files")


def examine(cohort: Cohort, splits: Splits, accepted: Collection[str] = ()) -> Examination:
    """Look at everything and stop at nothing."""
    found = problems(cohort, splits)
    equal, looks = look_alikes(cohort)
    remarks = [_remark(Level.STOPS, problem) for problem in found]
    for leak in [] if _foreign(cohort, splits) else find_leaks(cohort, splits, looks):
        level = Level.ACCEPTED if leak.kind.value in accepted else Level.STOPS
        remarks.append(Remark(level, f"leak: {leak.kind.value}", leak.count, str(leak), leak.names))
    unread = {reason: count for reason, count in cohort.failures.items() if reason != "not-selected"}
    for reason, count in unread.items():
        remarks.append(Remark(Level.LOOK, "unreadable", count, f"{counted(count, 'file')} not read: {reason}"))
    remarks += [_remark(Level.LOOK, problem) for problem in oddities(cohort)]
    remarks += _copies(cohort, equal, looks)
    return Examination(tuple(remarks), split_counts(cohort, splits), unread)


def _remark(level: Level, problem: Problem) -> Remark:
    return Remark(level, problem.kind, problem.count, str(problem), problem.names)


def _parts(splits: Splits) -> npt.NDArray[np.int64]:
    """The number of each image's split, -1 for none. (N,)."""
    part = np.full(len(splits.images), -1, np.int64)
    for number, name in enumerate(NAMES):
        part[list(splits[name])] = number
    return part


def _foreign(cohort: Cohort, splits: Splits) -> bool:
    return splits.images != tuple(sample.name for sample in cohort.samples)


def _copies(cohort: Cohort, equal: npt.NDArray[np.int64], looks: npt.NDArray[np.int64]) -> Iterator[Remark]:
    """How many images repeat another, wherever it stands: pixel for pixel, and otherwise."""
    repeats, alike = _repeats(equal), _repeats(looks)
    for kind, again, words in (
        ("duplicate", repeats, "equal to another pixel for pixel"),
        ("near-duplicate", [pair for pair in alike if equal[pair[0]] != equal[pair[1]]], "that look like another"),
    ):
        names = tuple(cohort.samples[i].name for pair in again[:SHOWN] for i in pair)
        if again:
            yield Remark(Level.NOTE, kind, len(again), f"{counted(len(again), 'image')} {words}", names)


def _repeats(of: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Each image that has the number of an earlier one, and the first that had it."""
    first: dict[int, int] = {}
    return [(i, first[number]) for i, number in enumerate(of.tolist()) if first.setdefault(number, i) != i]


def split_counts(cohort: Cohort, splits: Splits) -> dict[str, dict[str, int]]:
    """Images, patients, studies and images of each label, by split."""
    targets = cohort.targets() > 0
    counts = {}
    for name in NAMES:
        samples = [cohort.samples[index] for index in splits[name] if index < len(cohort)]
        counts[name] = {
            "images": len(samples),
            "patients": len({sample.header.patient for sample in samples}),
            "studies": len({sample.header.study for sample in samples}),
        }
        chosen = targets[list(splits[name])] if samples else targets[:0]
        labels = {label: int(chosen[:, k].sum()) for k, label in enumerate(cohort.labels)}
        counts[name] |= {f"label: {label}": count for label, count in labels.items()}
    return counts
