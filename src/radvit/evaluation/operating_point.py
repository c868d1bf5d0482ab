"""Thresholds chosen once, on validation images, and frozen for every later measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.errors import ConfigError
from radvit.evaluation.predictions import Floats, Predictions
from radvit.evaluation.smooth_threshold import smooth_youden
from radvit.metrics.froc import froc_curve
from radvit.metrics.matching import CENTER_INSIDE, HitRule

Array = npt.NDArray[np.float64]

UNDECIDED = 0.5  # the threshold where validation images can't decide: one class only, or nothing detected
FP_PER_IMAGE = 1.0


class ThresholdRule(Enum):
    """What the image threshold maximises: sensitivity + specificity (Youden 1950), the same smoothed, or accuracy."""

    YOUDEN = "youden"
    SMOOTH_YOUDEN = "smooth_youden"
    ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Frozen thresholds: something is called where score >= threshold.

    image_thresholds: one a label. box_threshold: the lowest with at most `fp_per_image` false alarms an image on the
    validation images; None for pure classifiers.
    """

    image_thresholds: tuple[float, ...]
    box_threshold: float | None = None
    rule: ThresholdRule = ThresholdRule.YOUDEN
    fp_per_image: float = FP_PER_IMAGE

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a bundle's JSON."""
        return {
            "image_thresholds": list(self.image_thresholds),
            "box_threshold": self.box_threshold,
            "rule": self.rule.value,
            "fp_per_image": self.fp_per_image,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> OperatingPoint:
        """The inverse of `to_dict`."""
        box = values["box_threshold"]
        return OperatingPoint(
            tuple(float(t) for t in values["image_thresholds"]),
            None if box is None else float(box),
            ThresholdRule(values["rule"]),
            float(values["fp_per_image"]),
        )


def choose(
    predictions: Predictions,
    rule: ThresholdRule = ThresholdRule.YOUDEN,
    hit_rule: HitRule = CENTER_INSIDE,
    fp_per_image: float = FP_PER_IMAGE,
) -> OperatingPoint:
    """Choose thresholds on validation predictions.

    Raises ConfigError where fp_per_image is not positive.
    """
    if not fp_per_image > 0:
        raise ConfigError(f"fp_per_image {fp_per_image}; expected a number above 0")
    columns = zip(predictions.scores.T, predictions.targets.T, strict=True)
    image = tuple(image_threshold(scores, targets, rule) for scores, targets in columns)
    box = box_threshold(predictions, hit_rule, fp_per_image) if predictions.localises else None
    return OperatingPoint(image, box, rule, fp_per_image)


def image_threshold(scores: Floats, targets: Floats, rule: ThresholdRule) -> float:
    """Threshold that maximises `rule`, in the middle of the gap between two scores; 0.5 where one class is missing.

    Where several gaps are equally good, the middle one of them. SMOOTH_YOUDEN: see `smooth_youden`.
    """
    values, positive = np.asarray(scores, np.float64), np.asarray(targets) > 0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return UNDECIDED
    if rule is ThresholdRule.SMOOTH_YOUDEN:
        return smooth_youden(values[positive], values[~positive])
    distinct = np.unique(values)
    cuts = np.r_[distinct[0], (distinct[:-1] + distinct[1:]) / 2, _just_above(distinct[-1])]
    hits = n_positive - np.searchsorted(np.sort(values[positive]), cuts)  # positives with score >= cut
    rejected = np.searchsorted(np.sort(values[~positive]), cuts)  # negatives with score < cut
    gain = (
        hits / n_positive + rejected / n_negative if rule is ThresholdRule.YOUDEN else (hits + rejected).astype(float)
    )
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])


def box_threshold(predictions: Predictions, hit_rule: HitRule, fp_per_image: float) -> float:
    """Lowest threshold with at most fp_per_image false alarms an image, in the middle of the gap below its score.

    0.5 where nothing was detected; just above the best score where that alone gives too many.
    """
    curve = froc_curve(predictions.boxes, predictions.truth, hit_rule)
    if not len(curve.thresholds):
        return UNDECIDED
    within = int((curve.fp_per_image <= fp_per_image).sum())  # false alarms only grow down the list
    if within == 0:
        return _just_above(curve.thresholds[0])
    if within == len(curve.thresholds):
        return float(curve.thresholds[-1])
    return float((curve.thresholds[within - 1] + curve.thresholds[within]) / 2)


def _just_above(score: float) -> float:
    """The next float32 above a score, so that a comparison in single precision excludes the score too."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))
