"""Scores to probabilities, fitted on validation predictions."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from radvit.errors import ConfigError
from radvit.evaluation.predictions import Floats, Predictions
from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Platt, Temperature, fit_platt, fit_slope, fit_softmax
from radvit.metrics.matching import CENTER_INSIDE, HitRule, Outcome, flatten, hit_pairs, match
from radvit.records import Boxes

Bools = npt.NDArray[np.bool_]


class Method(Enum):
    """How scores become probabilities.

    AUTO: temperature scaling of labels that exclude each other, Platt scaling of all else. TEMPERATURE: also of scores
    that stand alone, which are then Platt's with no intercept.
    """

    AUTO = "auto"
    PLATT = "platt"
    TEMPERATURE = "temperature"
    NONE = "none"


def fit_calibration(
    predictions: Predictions, method: Method = Method.AUTO, hit_rule: HitRule = CENTER_INSIDE
) -> Calibration:
    """Fit a model's image scores against their labels, and a detector's box scores against what they hit.

    predictions: with raw scores, on the validation split. All labels that stand alone share a fit. A second box on a
    found lesion counts neither way. Raises ConfigError for Platt scaling of labels that exclude each other.
    """
    refuse_unfit(method, predictions.exclusive)
    images: Platt | Temperature
    if predictions.exclusive:
        images = Temperature() if method is Method.NONE else fit_softmax(predictions.scores, predictions.targets)
        return Calibration(images)
    images = _fitted(method, predictions.scores.ravel(), np.asarray(predictions.targets).ravel() > 0)
    if not predictions.task.localises:
        return Calibration(images)
    found, true = flatten(predictions.boxes, predictions.truth)
    outcome = match(len(found), hit_pairs(found, true, hit_rule, predictions.spacing))
    clear = outcome != Outcome.REPEAT
    return Calibration(images, _fitted(method, found.scores[clear], np.asarray(outcome[clear] == Outcome.HIT)))


def calibrated(predictions: Predictions, calibration: Calibration) -> Predictions:
    """Predictions with raw scores as a bundle with this calibration would give them."""
    scores = np.asarray(calibration.of_images(np.asarray(predictions.scores, np.float32)), np.float32)
    if not predictions.localises:
        return replace(predictions, scores=scores)
    found = ((b, np.asarray(calibration.of_boxes(b.scores), np.float32)) for b in predictions.boxes)
    return replace(predictions, scores=scores, boxes=tuple(Boxes(b.xyxy, score, b.labels) for b, score in found))


def refuse_unfit(method: Method, exclusive: bool) -> None:
    """Raise ConfigError for Platt scaling of labels that exclude each other: their chances would no longer sum to 1."""
    if exclusive and method is Method.PLATT:
        raise ConfigError("calibration=platt with labels that exclude each other; expected temperature, auto or none")


def _fitted(method: Method, scores: Floats, hits: Bools) -> Platt:
    """A map of scores that stand alone."""
    if method is Method.NONE:
        return Platt()
    return fit_slope(scores, hits) if method is Method.TEMPERATURE else fit_platt(scores, hits)
