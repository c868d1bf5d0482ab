"""Image-level metrics, vectorised over many weightings of the same images at once.

Every function takes scores (N,), targets (N,) of 0/1 and, optionally, weights (N,) or (B, N): how often each image
counts. With weights (B, N) it returns (B,) float64, one value a weighting, which is what a bootstrap needs; without,
one number. A metric that isn't defined (one class only, no image) is nan, silently.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]
Targets = npt.NDArray[np.floating] | npt.NDArray[np.integer] | npt.NDArray[np.bool_]

ECE_BINS = 15


def ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Array:
    """The quotient above / below, and nan where `below` is 0. Shapes must broadcast; returns float64."""
    over, under = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    out = np.full(under.shape, np.nan)
    np.divide(over, under, out=out, where=under > 0)
    return out[()]  # a plain number where there are no weightings to keep apart


def auroc(scores: Floats, targets: Targets, weights: Array | None = None) -> Array:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties counting half.

    Source: Hanley and McNeil 1982, Radiology 143(1).
    """
    positive, negative = _by_score(scores, targets, weights)
    below = negative.sum(-1, keepdims=True) - np.cumsum(negative, axis=-1)
    won = (positive * (below + negative / 2)).sum(-1)
    return ratio(won, positive.sum(-1) * negative.sum(-1))


def average_precision(scores: Floats, targets: Targets, weights: Array | None = None) -> Array:
    """Area under the precision-recall steps: sum of (R_n - R_(n-1)) P_n over distinct scores, not interpolated.

    Source: the definition of scikit-learn's `average_precision_score`.
    """
    positive, negative = _by_score(scores, targets, weights)
    precision = ratio(np.cumsum(positive, -1), np.cumsum(positive + negative, -1))
    area = np.where(positive > 0, positive * precision, 0.0).sum(-1)
    return ratio(area, positive.sum(-1))


def accuracy(scores: Floats, targets: Targets, threshold: float, weights: Array | None = None) -> Array:
    """Share of images called rightly; an image is called positive where score >= threshold."""
    right = (_float(scores) >= threshold) == (_float(targets) > 0)
    return share(right, np.ones(len(right)), weights)


def sensitivity(scores: Floats, targets: Targets, threshold: float, weights: Array | None = None) -> Array:
    """Share of the positives with score >= threshold."""
    positive = _float(targets) > 0
    return share((_float(scores) >= threshold) & positive, positive, weights)


def specificity(scores: Floats, targets: Targets, threshold: float, weights: Array | None = None) -> Array:
    """Share of the negatives with score < threshold."""
    negative = _float(targets) <= 0
    return share((_float(scores) < threshold) & negative, negative, weights)


def ppv(called: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_], weights: Array | None = None) -> Array:
    """Positive predictive value: share of the called images that are positive; nan where none is called. (N,) each."""
    return share(called & present, called, weights)


def npv(called: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_], weights: Array | None = None) -> Array:
    """Negative predictive value: share of the images not called that are negative; nan where all are called."""
    return share(~called & ~present, ~called, weights)


def brier(scores: Floats, targets: Targets, weights: Array | None = None) -> Array:
    """Mean squared distance of the score (a probability) from the outcome. Source: Brier 1950."""
    return share((_float(scores) - _float(targets)) ** 2, np.ones(len(scores)), weights)


def ece(scores: Floats, targets: Targets, weights: Array | None = None, bins: int = ECE_BINS) -> Array:
    """Expected calibration error: |mean score - share of positives| averaged over bins by their weight.

    Bins are equally wide on [0, 1]. As n_bin * |mean score - mean target| = |sum of (score - target)|, each bin
    needs one weighted sum. Source: Naeini et al. 2015 (binary form: probability of the positive class).
    """
    gap = _float(scores) - _float(targets)
    member = np.zeros((len(gap), bins))
    member[np.arange(len(gap)), bin_of(scores, bins)] = gap
    every = _weights(weights, len(gap))
    return ratio(np.abs(every @ member).sum(-1), every.sum(-1))


def bin_of(scores: Floats, bins: int = ECE_BINS) -> npt.NDArray[np.int64]:
    """Index of the equally wide bin on [0, 1] a score falls into; 1.0 belongs to the last bin."""
    return np.clip((_float(scores) * bins).astype(np.int64), 0, bins - 1)


def share(counted: npt.ArrayLike, of: npt.ArrayLike, weights: Array | None = None) -> Array:
    """Weighted sum of `counted` (N,) over weighted sum of `of` (N,); nan where nothing is there to count."""
    over, under = np.asarray(counted, np.float64), np.asarray(of, np.float64)
    every = _weights(weights, len(under))
    return ratio(every @ over, every @ under)


def _by_score(scores: Floats, targets: Targets, weights: Array | None) -> tuple[Array, Array]:
    """Weight of the positives and of the negatives at each distinct score, highest first; each (..., distinct)."""
    values = _float(scores)
    order = np.argsort(-values, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0][: len(values)])
    ordered = _weights(weights, len(values))[..., order]
    positive = np.add.reduceat(ordered * (_float(targets)[order] > 0), first, axis=-1)
    return positive, np.add.reduceat(ordered, first, axis=-1) - positive


def _weights(weights: Array | None, n: int) -> Array:
    return np.ones(n) if weights is None else weights


def _float(values: npt.ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)
