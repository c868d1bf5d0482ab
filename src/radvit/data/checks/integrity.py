"""Pixels, truth and splits that can't be trained and measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from radvit.data.samples import Cohort, Sample
from radvit.data.splits import NAMES, Splits
from radvit.plural import counted

ONE_AS_FLOAT16 = 0x3C00  # bits of 1.0: those of a number in [0, 1] are no larger
SLACK_PX = 1.0  # boxes drawn by hand may touch the border from outside
SHOWN = 3  # names that a problem gives


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with some images. kind: a short code. words: what, after their count.

    count: 0 where it isn't about single images. names: pseudonyms of the first few.
    """

    kind: str
    words: str
    count: int = 0
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{counted(self.count, 'image')} {self.words}" if self.count else self.words


def problems(cohort: Cohort, splits: Splits, labelled: bool = True) -> list[Problem]:
    """Every reason why a cohort and its splits can't be used, apart from leaks.

    labelled: False for pretraining, which knows no truth and measures nothing, so that there need be no test split.

    Looked at: pixels are numbers in [0, 1]; truth is known, 0 or 1, and agrees with the boxes; boxes lie inside their
    image; no image stands twice; splits belong to the cohort and none is empty.
    """
    truth = [*_truth(cohort), *_boxes(cohort)] if labelled else []
    needed = NAMES if labelled else NAMES[:2]
    return [*_pixels(cohort), *truth, *_twice(cohort), *_splits(cohort, splits, needed)]


def problem_of(kind: str, words: str, samples: Iterable[Sample]) -> list[Problem]:
    """A problem with these images; an empty list where there are none."""
    names = [sample.name for sample in samples]
    return [Problem(kind, words, len(names), tuple(names[:SHOWN]))] if names else []


def _pixels(cohort: Cohort) -> list[Problem]:
    values = (np.ascontiguousarray(image).view(np.uint16) for image in cohort.pixels)
    bad = [sample for sample, bits in zip(cohort.samples, values, strict=True) if (bits > ONE_AS_FLOAT16).any()]
    return problem_of("pixels", "with pixels that are no number in [0, 1]", bad)


def _truth(cohort: Cohort) -> list[Problem]:
    targets = cohort.targets()
    unknown = np.isnan(targets).any(1)
    odd = ~unknown & ~np.isin(targets, (0, 1)).all(1)
    of = cohort.samples
    return [
        *problem_of(
            "truth",
            "with no known truth; expected data.truth=FILE with boxes",
            (of[i] for i in np.flatnonzero(unknown)),
        ),
        *problem_of("target", "with targets other than 0 and 1", (of[i] for i in np.flatnonzero(odd))),
    ]


def _boxes(cohort: Cohort) -> list[Problem]:
    found: dict[str, list[Sample]] = {}
    for sample in cohort.samples:
        if words := _box_problem(sample, len(cohort.labels)):
            found.setdefault(words, []).append(sample)
    return [problem for words, samples in found.items() for problem in problem_of("box", f"with {words}", samples)]


def _box_problem(sample: Sample, classes: int) -> str | None:
    if not sample.lesions:
        return None
    xyxy = np.array([lesion.box_px for lesion in sample.lesions], np.float64)
    labels = {lesion.label for lesion in sample.lesions}
    size = np.array([sample.geometry.columns, sample.geometry.rows], np.float64)
    if not np.isfinite(xyxy).all() or (xyxy[:, 2:] <= xyxy[:, :2]).any():
        return "boxes without an area"
    if (xyxy[:, :2] < -SLACK_PX).any() or (xyxy[:, 2:] > size + SLACK_PX).any():
        return "boxes outside the image"
    if not labels <= set(range(classes)):
        return f"boxes of a class other than the {classes} known"
    return "boxes of a class that its targets call absent" if any(sample.targets[k] == 0 for k in labels) else None


def _twice(cohort: Cohort) -> list[Problem]:
    counts = Counter(sample.name for sample in cohort.samples)
    again = {sample.name: sample for sample in cohort.samples if counts[sample.name] > 1}
    return problem_of("name", "in the cohort more than once", again.values())


def _splits(cohort: Cohort, splits: Splits, needed: Sequence[str]) -> list[Problem]:
    if splits.images != tuple(sample.name for sample in cohort.samples):
        return [Problem("split", "the splits were made for another cohort")]
    return [Problem("split", f"the {name} split is empty") for name in needed if not splits[name]]
