"""Scores to probabilities, fitted on validation predictions."""

from __future__ import annotations

import numpy as np

from radvit.evaluation.predictions import Predictions
from radvit.metrics.calibration import Platt, fit_platt
from radvit.metrics.matching import CENTER_INSIDE, HitRule, Outcome, flatten, hit_pairs, match


def fit_calibration(predictions: Predictions, hit_rule: HitRule = CENTER_INSIDE) -> Platt:
    """Platt scaling of a detector's box scores, or of the image scores of a classifier whose labels stand alone.

    predictions: with raw scores, on the validation split. A second box on a found lesion counts neither way.
    Classes that exclude each other keep their softmax: the identity is returned.
    """
    if predictions.localises:
        found, true = flatten(predictions.boxes, predictions.truth)
        outcome = match(len(found), hit_pairs(found, true, hit_rule))
        clear = outcome != Outcome.REPEAT
        return fit_platt(found.scores[clear], outcome[clear] == Outcome.HIT)
    if predictions.exclusive:
        return Platt()
    return fit_platt(np.asarray(predictions.scores).ravel(), np.asarray(predictions.targets).ravel() > 0)
