"""Scores to probabilities, fitted on validation predictions."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from radvit.errors import ConfigError
from radvit.evaluation.predictions import Floats, Predictions
from radvit.metrics.calibration import Calibration, Platt, Temperature, fit_platt, fit_temperature
from radvit.metrics.matching import CENTER_INSIDE, HitRule, Outcome, flatten, hit_pairs, match
from radvit.records import Boxes


class CalibrationKind(Enum):
    """What is fitted. AUTO: temperature where classes exclude each other, else Platt scaling."""

    AUTO = "auto"
    PLATT = "platt"
    TEMPERATURE = "temperature"
    NONE = "none"


def fit_calibration(
    predictions: Predictions, hit_rule: HitRule = CENTER_INSIDE, kind: CalibrationKind = CalibrationKind.AUTO
) -> Calibration:
    """Calibrate a detector's box scores, or a classifier's image scores.

    predictions: with raw scores, on the validation split. A second box on a found lesion counts neither way. The
    identity where there is too little to fit or nothing is asked for. Raises ConfigError for Platt scaling of classes
    that exclude each other.
    """
    if predictions.exclusive:
        if kind is CalibrationKind.PLATT:
            raise ConfigError("calibration=platt for labels that exclude each other; expected temperature or none")
        return Temperature() if kind is CalibrationKind.NONE else _softmax_temperature(predictions)
    if kind is CalibrationKind.NONE:
        return Platt()
    scores, right = claims(predictions, hit_rule)
    if kind is not CalibrationKind.TEMPERATURE:
        return fit_platt(scores, right)
    if right.all() or not right.any():
        return Platt()
    logits = np.stack([np.zeros(len(scores)), _logit(scores)], 1)
    return Platt(slope=1 / fit_temperature(logits, right.astype(np.int64)), fitted=True)


def claims(predictions: Predictions, hit_rule: HitRule) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Every score that claims something, and whether it was right: of boxes, or of images and labels."""
    if predictions.task.localises:
        found, true = flatten(predictions.boxes, predictions.truth)
        outcome = match(len(found), hit_pairs(found, true, hit_rule))
        clear = outcome != Outcome.REPEAT
        return found.scores[clear], np.asarray(outcome[clear] == Outcome.HIT)
    return np.asarray(predictions.scores).ravel(), np.asarray(predictions.targets).ravel() > 0


def calibrated(predictions: Predictions, calibration: Calibration) -> Predictions:
    """The predictions with calibrated scores of images and boxes, as a bundle with this calibration would give them.

    A detector's image without any box keeps its score of 0.
    """
    raw = np.asarray(predictions.scores)
    scores = calibration.apply(raw)
    if not predictions.task.localises:
        return replace(predictions, scores=scores)
    boxes = tuple(Boxes(b.xyxy, calibration.apply(b.scores), b.labels) for b in predictions.boxes)
    return replace(predictions, scores=np.where(raw > 0, scores, raw), boxes=boxes)


def _softmax_temperature(predictions: Predictions) -> Temperature:
    scores = np.asarray(predictions.scores, np.float64)
    if not len(scores):
        return Temperature()
    logits = np.log(np.clip(scores, np.finfo(np.float32).tiny, None))
    return Temperature(fit_temperature(logits, np.asarray(predictions.targets).argmax(1)), fitted=True)


def _logit(scores: Floats) -> npt.NDArray[np.float64]:
    kept = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(kept) - np.log1p(-kept))
