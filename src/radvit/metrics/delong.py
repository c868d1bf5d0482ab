"""How far areas under ROC curves of the same images vary together, without resampling.

Sources: DeLong, DeLong and Clarke-Pearson 1988 (structural components); Sun and Xu 2014 (the same by mid-ranks, in
n log n); Obuchowski 1997 (the sums over patients, for several images a patient; with one image each it is DeLong's).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from radvit.errors import DataError

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas under M ROC curves, auroc (M,), and their covariance (M, M); nan where too little is there for either."""

    auroc: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference with its interval and two-sided p-value; nan where they aren't defined."""

    difference: float
    low: float
    high: float
    p: float


def areas(scores: Array, targets: npt.ArrayLike, patients: Ints | None = None) -> Areas:
    """Areas under the ROC curves of several models on the same images.

    scores: (M, N), a row a model. targets: (N,) of 0/1. patients: (N,) number of each image's patient, from 0; None
    where each image has its own. The areas are nan where a class is missing, the covariance where fewer than two
    patients have images of a class. Raises DataError where the shapes don't fit.
    """
    values, positive = np.asarray(scores, np.float64), np.asarray(targets) > 0
    whose = np.arange(len(positive)) if patients is None else patients
    if values.ndim != 2 or values.shape[1:] != positive.shape or whose.shape != positive.shape:
        raise DataError(f"scores {values.shape}, targets {positive.shape}, patients {whose.shape}; expected (M, N)")
    m, n = int(positive.sum()), int((~positive).sum())
    undefined = np.full((len(values), len(values)), np.nan)
    if not m or not n:
        return Areas(undefined[0] if len(values) else np.zeros(0), undefined)
    won, beaten = components(values, positive)
    auroc = won.mean(1)
    with_positive, with_negative = (len(np.unique(whose[rows])) for rows in (positive, ~positive))
    if min(with_positive, with_negative) < 2:
        return Areas(auroc, undefined)
    clusters = int(whose.max()) + 1
    a = _sums(won - auroc[:, None], whose[positive], clusters)  # (M, patients)
    b = _sums(beaten - auroc[:, None], whose[~positive], clusters)
    mixed = a @ b.T * _correction(len(np.unique(whose)))
    covariance = a @ a.T * _correction(with_positive) / m**2 + b @ b.T * _correction(with_negative) / n**2
    return Areas(auroc, covariance + (mixed + mixed.T) / (m * n))


def components(scores: Array, positive: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half.

    scores: (M, N). Returns (M, positives) and (M, negatives): the structural components, V10 and V01.
    """
    together = rankdata(scores, axis=1)  # mid-ranks
    above, below = scores[:, positive], scores[:, ~positive]
    won = (together[:, positive] - rankdata(above, axis=1)) / below.shape[1]
    return won, 1 - (together[:, ~positive] - rankdata(below, axis=1)) / above.shape[1]


def difference(of: Areas, level: float = 0.95) -> Contrast:
    """The second area less the first, by the normal approximation.

    The interval and p are nan where the variance isn't known, or is 0 though the areas differ.
    """
    apart = float(of.auroc[1] - of.auroc[0])
    variance = float(of.covariance[0, 0] + of.covariance[1, 1] - of.covariance[0, 1] - of.covariance[1, 0])
    error = float(np.sqrt(max(variance, 0.0)))
    if error < 1e-9:  # rounding, for models that rank alike
        alike = abs(apart) < 1e-12
        return Contrast(apart, 0.0, 0.0, 1.0) if alike else Contrast(apart, float("nan"), float("nan"), float("nan"))
    half = float(norm.ppf((1 + level) / 2)) * error
    return Contrast(apart, apart - half, apart + half, float(2 * norm.sf(abs(apart) / error)))


def _sums(values: Array, whose: Ints, clusters: int) -> Array:
    """Sums of each row over each patient: values (M, n) to (M, clusters)."""
    return np.stack([np.bincount(whose, row, minlength=clusters) for row in values])


def _correction(count: int) -> float:
    return count / (count - 1)
