"""Every metric of a set of predictions, each with a patient-clustered 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.statistics import stated, statistics_of, study_scores
from radvit.metrics.bootstrap import clustered_interval
from radvit.metrics.matching import CENTER_INSIDE, HitRule

__all__ = ["Metric", "evaluate", "stated", "study_scores"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A value with its 95 % interval and what it was measured on; nan where it isn't defined."""

    value: float
    low: float
    high: float
    n_patients: int
    n_images: int
    n_lesions: int


def evaluate(
    predictions: Predictions,
    operating: OperatingPoint | None,
    rng: np.random.Generator,
    n_boot: int = 1000,
    hit_rule: HitRule = CENTER_INSIDE,
) -> dict[str, Metric]:
    """Measure predictions; see docs/metrics.md for each metric's definition.

    operating: frozen thresholds; None leaves out what depends on them. n_boot: resamples of patients for the
    intervals. Two calls with equal generators draw the same patients, so their values can be paired.
    Raises ConfigError where `operating` has not one threshold a label.
    """
    measure = statistics_of(predictions, operating, hit_rule)
    values = measure(np.ones((1, len(predictions))))
    intervals = clustered_interval(measure, predictions.patients, rng, n_boot)
    n_patients = len(set(predictions.patients))
    counts = (n_patients, len(predictions), predictions.n_lesions)
    undefined = (float("nan"), float("nan"))
    return {name: Metric(float(value[0]), *intervals.get(name, undefined), *counts) for name, value in values.items()}
