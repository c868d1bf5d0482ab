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
    """What the image threshold maximises: sensitivity + specificity (Youden 1950), the same smoothed, or accuracy.

    SPECIFICITY: the lowest threshold with at least a given specificity.
    """

    YOUDEN = "youden"
    SMOOTH_YOUDEN = "smooth_youden"
    ACCURACY = "accuracy"
    SPECIFICITY = "specificity"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Frozen thresholds: something is called where score >= threshold.

    image_thresholds: one a label. box_threshold: the lowest with at most `fp_per_image` false alarms an image on the
    validation images, counted by `hit_rule`; None for pure classifiers. specificity: with SPECIFICITY, what was asked.
    """

    image_thresholds: tuple[float, ...]
    box_threshold: float | None = None
    rule: ThresholdRule = ThresholdRule.YOUDEN
    fp_per_image: float = FP_PER_IMAGE
    hit_rule: HitRule = CENTER_INSIDE
    specificity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a bundle's JSON."""
        return {
            "image_thresholds": list(self.image_thresholds),
            "box_threshold": self.box_threshold,
            "rule": self.rule.value,
            "fp_per_image": self.fp_per_image,
            "hit_rule": self.hit_rule.to_dict(),
            "specificity": self.specificity,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> OperatingPoint:
        """The inverse of `to_dict`; an earlier version chose with the centre inside, and told no specificity."""
        box, specificity = values["box_threshold"], values.get("specificity")
        return OperatingPoint(
            tuple(float(t) for t in values["image_thresholds"]),
            None if box is None else float(box),
            ThresholdRule(values["rule"]),
            float(values["fp_per_image"]),
            HitRule.from_dict(values["hit_rule"]) if "hit_rule" in values else CENTER_INSIDE,
            None if specificity is None else float(specificity),
        )

    def rule_words(self) -> str:
        """How the image thresholds were chosen."""
        return self.rule.value if self.specificity is None else f"{self.rule.value} of at least {self.specificity:g}"


def choose(
    predictions: Predictions,
    rule: ThresholdRule = ThresholdRule.YOUDEN,
    hit_rule: HitRule = CENTER_INSIDE,
    fp_per_image: float = FP_PER_IMAGE,
    specificity: float | None = None,
) -> OperatingPoint:
    """Choose thresholds on validation predictions. specificity: in (0, 1], with SPECIFICITY alone.

    Raises ConfigError where fp_per_image is not positive or specificity and rule don't go together.
    """
    if (rule is ThresholdRule.SPECIFICITY) is not (specificity is not None and 0 < specificity <= 1):
        raise ConfigError(f"rule {rule.value} with specificity {specificity}; expected one in (0, 1] with specificity")
    if not fp_per_image > 0:
        raise ConfigError(f"fp_per_image {fp_per_image}; expected a number above 0")
    columns = zip(predictions.scores.T, predictions.targets.T, strict=True)
    image = tuple(
        image_threshold(scores, targets, rule)
        if specificity is None
        else specificity_threshold(scores, targets, specificity)
        for scores, targets in columns
    )
    box = box_threshold(predictions, hit_rule, fp_per_image) if predictions.localises else None
    return OperatingPoint(image, box, rule, fp_per_image, hit_rule, specificity)


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
    cuts = _cuts(values)
    hits = n_positive - np.searchsorted(np.sort(values[positive]), cuts)  # positives with score >= cut
    rejected = np.searchsorted(np.sort(values[~positive]), cuts)  # negatives with score < cut
    gain = (
        hits / n_positive + rejected / n_negative if rule is ThresholdRule.YOUDEN else (hits + rejected).astype(float)
    )
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])


def specificity_threshold(scores: Floats, targets: Floats, least: float) -> float:
    """Lowest threshold that leaves at least a share `least` of the negatives uncalled, in the middle of its gap.

    The lowest score where all may be called; 0.5 where there is no negative.
    """
    values = np.asarray(scores, np.float64)
    negative = np.sort(values[np.asarray(targets) <= 0])
    if not len(negative):
        return UNDECIDED
    cuts = _cuts(values)
    rejected = np.searchsorted(negative, cuts) / len(negative)  # negatives with score < cut; rises with the cut
    return float(cuts[np.argmax(rejected >= least)])


def box_threshold(predictions: Predictions, hit_rule: HitRule, fp_per_image: float) -> float:
    """Lowest threshold with at most fp_per_image false alarms an image, in the middle of the gap below its score.

    0.5 where nothing was detected; just above the best score where that alone gives too many.
    """
    curve = froc_curve(predictions.boxes, predictions.truth, hit_rule, predictions.spacing)
    if not len(curve.thresholds):
        return UNDECIDED
    within = int((curve.fp_per_image <= fp_per_image).sum())  # false alarms only grow down the list
    if within == 0:
        return _just_above(curve.thresholds[0])
    if within == len(curve.thresholds):
        return float(curve.thresholds[-1])
    return float((curve.thresholds[within - 1] + curve.thresholds[within]) / 2)


def _cuts(values: Array) -> Array:
    """Thresholds that differ in what they call: the lowest score, the middles between scores, above the highest."""
    distinct = np.unique(values)
    return np.asarray(np.r_[distinct[0], (distinct[:-1] + distinct[1:]) / 2, _just_above(distinct[-1])])


def _just_above(score: float) -> float:
    """The next float32 above a score, so that a comparison in single precision excludes the score too."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))
