"""One model on several data sets: how far each lies from the model's own test split, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.reading import Saved
from radvit.evaluation.statistics import statistics_of
from radvit.evaluation.subgroups import HEADLINES
from radvit.metrics.bootstrap import collect, percentile_interval
from radvit.records import Task

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Apart:
    """A metric of a data set less that of the internal test split, with its 95 % interval; nan where not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CaseMix:
    """What a data set is made of.

    prevalence: share of images with each label. lesions: an image. size_mm: quartiles of the longest side of the true
    boxes, None where no lesion's image has a spacing. images: a patient.
    """

    prevalence: Mapping[str, float]
    images: float
    lesions: float | None = None
    size_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A data set as evaluate.py left it. apart: from the internal test split, empty where there is nothing to tell."""

    name: str
    saved: Saved
    metrics: Mapping[str, Metric]
    mix: CaseMix
    apart: Mapping[str, Apart]

    def document(self) -> dict[str, Any]:
        """Its part of external.json."""
        predictions = self.saved.predictions
        return {
            "name": self.name,
            "n_patients": len(set(predictions.patients)),
            "n_images": len(predictions),
            "n_lesions": predictions.n_lesions,
            "seen_in_training": self.saved.seen,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "differences": {name: asdict(apart) for name, apart in self.apart.items()},
            "case_mix": asdict(self.mix),
        }


def main_metrics(task: Task) -> tuple[str, ...]:
    """What tables and figures of several data sets show."""
    return (*HEADLINES[task], "ece")


def resampled(saved: Saved, rng: np.random.Generator, n_boot: int) -> dict[str, Array]:
    """Every metric of a data set in each resample of its patients: name -> (n_boot,)."""
    measure = statistics_of(saved.predictions, saved.operating, saved.hit_rule)
    return collect(measure, saved.predictions.patients, rng, n_boot)


def apart(
    here: Mapping[str, Metric],
    home: Mapping[str, Metric],
    drawn_here: Mapping[str, Array],
    drawn_home: Mapping[str, Array],
) -> dict[str, Apart]:
    """Differences, here less home, of what both have. drawn_*: independent resamples, as the patients are others.

    Each pair of resamples gives one difference (Efron and Tibshirani 1993, chapter 8: the two-sample problem).
    """
    found = {}
    for name in here:
        if name in home:
            value = here[name].value - home[name].value
            spread = drawn_here[name] - drawn_home[name] if name in drawn_here and name in drawn_home else np.zeros(0)
            interval = percentile_interval(spread) if np.isfinite(value) else (float("nan"), float("nan"))
            found[name] = Apart(value, *interval)
    return found


def case_mix(predictions: Predictions) -> CaseMix:
    """Prevalence, number and size of lesions, images a patient."""
    n, patients = len(predictions), len(set(predictions.patients))
    prevalence = dict(zip(predictions.labels, (predictions.targets > 0).mean(0).tolist(), strict=True)) if n else {}
    images = n / patients if patients else float("nan")
    if not predictions.task.localises:
        return CaseMix(prevalence, images)
    sizes = box_sizes_mm(predictions)
    quartiles = tuple(np.quantile(sizes, [0.25, 0.5, 0.75]).tolist()) if len(sizes) else None
    return CaseMix(prevalence, images, predictions.n_lesions / n if n else float("nan"), quartiles)


def box_sizes_mm(predictions: Predictions) -> Array:
    """The longest side of each true box whose image has a spacing."""
    if predictions.spacing is None:
        return np.zeros(0)
    sides = [
        max((x2 - x1) * column_mm, (y2 - y1) * row_mm)
        for (row_mm, column_mm), lesions in zip(predictions.spacing.tolist(), predictions.truth, strict=True)
        for x1, y1, x2, y2 in (lesion.box_px for lesion in lesions)
    ]
    sizes = np.array(sides, np.float64)
    return sizes[np.isfinite(sizes)]
