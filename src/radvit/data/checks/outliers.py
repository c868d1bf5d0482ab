"""Images that are odd beside the rest, or in themselves: spacing, shape, nothing to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from radvit.data.checks.integrity import Problem, problem_of
from radvit.data.samples import Cohort, Sample

SPACING_MM = (0.01, 5.0)  # from mammography's finest detectors, with room, to coarse functional MR
WIDTH_MM = (10.0, 2000.0)  # of what an image shows: from an intra-oral film to a whole body
MOST_ASPECT = 5.0  # longer side by shorter
MOST_RATIO = 1.5  # of row and column spacing
FACTOR = 3.0  # from the median of the modality, either way
ENOUGH = 10  # images of a modality, for its median to mean something
BLANK_RANGE = 1 / 255  # grey values that span less show nothing


def oddities(cohort: Cohort) -> list[Problem]:
    """Everything odd about spacing, shape and content that a person should look at."""
    samples = cohort.samples
    return [
        *_blank(cohort),
        *problem_of("shape", "more than five times as long as wide", filter(_long, samples)),
        *_unlike("shape", "at least three times as large or as small as is usual for", samples, _longest),
        *_missing(samples),
        *problem_of("spacing", "with an implausible pixel spacing", filter(_implausible, samples)),
        *_unlike("spacing", "with a pixel spacing three times what is usual, or a third, for", samples, _mean_mm),
    ]


def _blank(cohort: Cohort) -> list[Problem]:
    spans = (float(image.max()) - float(image.min()) for image in cohort.pixels)
    blank = [sample for sample, span in zip(cohort.samples, spans, strict=True) if span < BLANK_RANGE]
    return problem_of("blank", "of one grey value", blank)


def _missing(samples: Sequence[Sample]) -> list[Problem]:
    """No spacing, where others of the cohort have one; where none has, that is how the data are."""
    without = [sample for sample in samples if sample.geometry.spacing_mm is None]
    return (
        problem_of("spacing", "without a pixel spacing, which others have", without)
        if len(without) < len(samples)
        else []
    )


def _long(sample: Sample) -> bool:
    sides = sorted((sample.geometry.rows, sample.geometry.columns))
    return sides[1] > MOST_ASPECT * sides[0]


def _implausible(sample: Sample) -> bool:
    geometry = sample.geometry
    if geometry.spacing_mm is None:
        return False
    row, column = geometry.spacing_mm
    sides = (row * geometry.rows, column * geometry.columns)
    plausible = SPACING_MM[0] <= min(row, column) and max(row, column) <= SPACING_MM[1]
    return (
        not plausible
        or max(row, column) > MOST_RATIO * min(row, column)
        or not WIDTH_MM[0] <= max(sides) <= WIDTH_MM[1]
    )


def _longest(sample: Sample) -> float | None:
    return float(max(sample.geometry.rows, sample.geometry.columns))


def _mean_mm(sample: Sample) -> float | None:
    return None if sample.geometry.spacing_mm is None else float(np.mean(sample.geometry.spacing_mm))


def _unlike(
    kind: str, words: str, samples: Sequence[Sample], size: Callable[[Sample], float | None]
) -> Iterator[Problem]:
    """Images far from the median of their modality."""
    of: dict[str, list[tuple[Sample, float]]] = {}
    for sample in samples:
        value = size(sample)
        if value is not None:
            of.setdefault(sample.header.modality, []).append((sample, value))
    for modality, sized in sorted(of.items()):
        median = float(np.median([value for _, value in sized]))
        far = [sample for sample, value in sized if not median / FACTOR < value < median * FACTOR]
        if len(sized) >= ENOUGH:
            yield from problem_of(kind, f"{words} {modality}", far)
