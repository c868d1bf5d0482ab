"""What two splits share that they must not: patients, studies, images that look the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import Any

import numpy.typing as npt

from radvit.data.samples import Cohort
from radvit.data.splits import NAMES, Splits
from radvit.plural import counted

SHOWN = 3


class LeakKind(Enum):
    """What two splits share."""

    PATIENT = "patient"
    STUDY = "study"
    NEAR_DUPLICATE = "near-duplicate"


@dataclass(frozen=True, slots=True)
class Leak:
    """What is shared between two splits. count: of patients, of studies, or of the later split's images.

    names: pseudonyms of the first few; of a near-duplicate the image in the later split and one that looks like it.
    """

    kind: LeakKind
    between: tuple[str, str]
    count: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        first, second = self.between
        if self.kind is LeakKind.PATIENT:
            return f"{counted(self.count, 'patient')} in {first} and {second}"
        if self.kind is LeakKind.STUDY:
            return f"{counted(self.count, 'study', 'studies')} in {first} and {second}"
        return f"{counted(self.count, 'image')} of {second} that look like images of {first}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without names."""
        return {"kind": self.kind.value, "between": list(self.between), "count": self.count}


def find_leaks(cohort: Cohort, splits: Splits, looks: npt.NDArray[Any]) -> list[Leak]:
    """Every leak between two splits. looks: a number for each image, the same for those that look the same."""
    patients = [sample.header.patient for sample in cohort.samples]
    studies = [sample.header.study for sample in cohort.samples]
    found = []
    for pair in combinations(NAMES, 2):
        found += _shared(LeakKind.PATIENT, pair, splits, patients)
        found += _shared(LeakKind.STUDY, pair, splits, studies)
        found += _alike(cohort, pair, splits, looks.tolist())
    return found


def refuse_leaks(leaks: Sequence[Leak], accepted: Collection[str] = ()) -> str | None:
    """One line about leaks of kinds that were not accepted, and how to accept them; None where there are none."""
    bad = [leak for leak in leaks if leak.kind.value not in accepted]
    if not bad:
        return None
    kinds = [*dict.fromkeys([*accepted, *(leak.kind.value for leak in bad)])]
    told = ", ".join(f"{leak} (such as {' and '.join(leak.names[:2])})" for leak in bad)
    return f"leaks across splits: {told}; expected none, or data.accept_leaks=[{','.join(kinds)}] to train all the same"


def _shared(kind: LeakKind, pair: tuple[str, str], splits: Splits, of: Sequence[str]) -> list[Leak]:
    first, second = ({of[index] for index in splits[name]} for name in pair)
    both = sorted(first & second)
    return [Leak(kind, pair, len(both), tuple(both[:SHOWN]))] if both else []


def _alike(cohort: Cohort, pair: tuple[str, str], splits: Splits, looks: Sequence[int]) -> list[Leak]:
    earlier = {looks[index]: index for index in splits[pair[0]]}
    later = [index for index in splits[pair[1]] if looks[index] in earlier]
    names = [cohort.samples[i].name for index in later[:SHOWN] for i in (index, earlier[looks[index]])]
    return [Leak(LeakKind.NEAR_DUPLICATE, pair, len(later), tuple(names))] if later else []
