"""A threshold on smoothed distributions of the scores: it moves less from one sample of images to the next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtr

Array = npt.NDArray[np.float64]

SURE = 1e-6  # scores nearer to 0 or 1 count as this far from it
POINTS = 1001  # thresholds looked at, evenly spread over the log-odds
NARROWEST = 1e-3  # log-odds; a bandwidth where all scores of a class are equal


def smooth_youden(positives: Array, negatives: Array) -> float:
    """Threshold with the largest sensitivity + specificity under Gaussian kernel estimates of both classes.

    positives, negatives: scores in [0, 1], at least one each; smoothing works on their log-odds. Among equally good
    thresholds it is the middle one. Source: Fluss, Faraggi and Reiser 2005, "Estimation of the Youden Index and its
    associated cutoff point", kernel method.
    """
    sick, well = (logit(np.clip(scores, SURE, 1 - SURE)) for scores in (positives, negatives))
    both = np.r_[sick, well]
    cuts = np.linspace(both.min(), both.max(), POINTS)
    gain = _below(well, cuts) - _below(sick, cuts)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(expit(cuts[best].mean()))


def bandwidth(values: Array) -> float:
    """Width of the kernel: 0.9 min(standard deviation, interquartile range / 1.34) n^(-1/5) (Silverman 1986, eq. 3.31).

    Where half of the values are equal, the standard deviation stands alone.
    """
    lower, upper = np.percentile(values, [25, 75])
    deviation = float(values.std())
    spread = min(deviation, float(upper - lower) / 1.34) if upper > lower else deviation
    return max(NARROWEST, 0.9 * spread * float(len(values) ** -0.2))


def _below(values: Array, cuts: Array) -> Array:
    """Smoothed part of the values below each cut. Returns (len(cuts),)."""
    width = bandwidth(values)
    return np.array([ndtr((cut - values) / width).mean() for cut in cuts])
