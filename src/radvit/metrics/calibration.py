"""Turning scores into probabilities, monotonically: Platt scaling and temperature scaling.

Sources: Platt 1999; Lin, Lin and Weng 2007 (Newton's method with a line search); Guo et al. 2017 (temperature).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from radvit.errors import DataError

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]

SCORE_MARGIN = 1e-6  # scores are kept this far from 0 and 1 before their logit is taken
LEAST_SLOPE = 1e-3  # a fit that would turn the order of the scores round is held here
LEAST_OF_A_CLASS = 5  # fewer hits or misses than this don't determine two numbers


@dataclass(frozen=True, slots=True)
class Platt:
    """p = sigmoid(slope * logit + intercept), slope > 0, so that the order of the scores never changes.

    fitted: False where there was too little to fit and the map is the identity.
    """

    slope: float = 1.0
    intercept: float = 0.0
    fitted: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and np.isfinite(self.intercept) and self.slope > 0):
            raise DataError(f"Platt slope {self.slope}, intercept {self.intercept}; expected finite, slope above 0")

    def apply(self, scores: Floats) -> Floats:
        """Calibrate scores in [0, 1], any shape; returns the same shape and dtype."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return scores.copy()
        return self.apply_logits(_logit(scores)).astype(scores.dtype)

    def apply_logits(self, logits: Floats) -> Array:
        """Probabilities of logits, any shape; returns float64."""
        return np.asarray(expit(self.slope * np.asarray(logits, np.float64) + self.intercept))

    def words(self) -> str:
        """The map in words."""
        numbers = f"slope {self.slope:.4g}, intercept {self.intercept:.4g}"
        return f"Platt scaling ({numbers})" if self.fitted else "no map (too little to fit, or none asked for)"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a bundle's JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Platt:
        """The inverse of `to_dict`."""
        return Platt(float(values["slope"]), float(values["intercept"]), bool(values["fitted"]))


@dataclass(frozen=True, slots=True)
class Temperature:
    """p = softmax(logits / temperature), temperature > 0: the likeliest label stays the likeliest (Guo et al. 2017).

    fitted: False where there was too little to fit and the map is the identity.
    """

    temperature: float = 1.0
    fitted: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise DataError(f"temperature {self.temperature}; expected a finite number above 0")

    def apply(self, scores: Floats) -> Floats:
        """Calibrate probabilities (..., K) that sum to 1 in their last axis; returns the same shape and dtype."""
        if self.temperature == 1.0:
            return scores.copy()
        return np.asarray(softmax(_log(scores) / self.temperature, axis=-1)).astype(scores.dtype)

    def words(self) -> str:
        """The map in words."""
        told = f"temperature scaling (temperature {self.temperature:.4g})"
        return told if self.fitted else "no map (too little to fit, or none asked for)"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a bundle's JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Temperature:
        """The inverse of `to_dict`."""
        return Temperature(float(values["temperature"]), bool(values["fitted"]))


def fit_platt(scores: Floats, hits: npt.NDArray[np.bool_]) -> Platt:
    """Fit Platt scaling on logit(score). scores: (N,) in [0, 1]; hits: (N,), whether each was right.

    The identity (fitted=False) where fewer than 5 are right or fewer than 5 are wrong.
    Raises DataError where the lengths differ.
    """
    return fit_platt_logits(_logit(scores), hits)


def fit_platt_logits(logits: Floats, hits: npt.NDArray[np.bool_]) -> Platt:
    """Fit Platt scaling on raw logits (N,); see `fit_platt`. Labels that don't exclude each other get one fit each."""
    x, y = np.asarray(logits, np.float64), np.asarray(hits, bool)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(f"scores of shape {x.shape} and hits of shape {y.shape}; expected the same (N,)")
    n_right, n_wrong = int(y.sum()), int((~y).sum())
    if min(n_right, n_wrong) < LEAST_OF_A_CLASS:
        return Platt()
    target = np.where(y, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))  # Platt's targets: finite when separable
    slope, intercept = _newton(x, target)
    if slope < LEAST_SLOPE:
        slope, intercept = LEAST_SLOPE, _intercept_for(x, target, LEAST_SLOPE)
    return Platt(slope, intercept, fitted=True)


def fit_softmax(scores: Floats, targets: Floats) -> Temperature:
    """Fit temperature scaling of a softmax. scores: (N, K) probabilities; targets: (N, K), one 1 a row.

    The identity (fitted=False) where fewer than 5 likeliest labels are right or fewer than 5 are wrong.
    """
    true = np.asarray(targets).argmax(1) if len(targets) else np.zeros(0, np.int64)
    right = int((np.asarray(scores).argmax(1) == true).sum()) if len(true) else 0
    if min(right, len(true) - right) < LEAST_OF_A_CLASS:
        return Temperature()
    return Temperature(fit_temperature(_log(scores), true), fitted=True)


def fit_slope(scores: Floats, hits: npt.NDArray[np.bool_]) -> Platt:
    """Temperature scaling of scores (N,) that stand alone: Platt scaling without an intercept; see `fit_platt`."""
    y = np.asarray(hits, bool)
    if min(int(y.sum()), int((~y).sum())) < LEAST_OF_A_CLASS:
        return Platt()
    z = _logit(scores)
    logits = np.stack([np.zeros_like(z), z], 1)  # (N, 2); their softmax is the sigmoid of z
    return Platt(1 / fit_temperature(logits, y.astype(np.int64)), 0.0, fitted=True)


def fit_temperature(logits: Floats, targets: npt.NDArray[np.integer]) -> float:
    """Temperature T > 0 that minimises the cross-entropy of softmax(logits / T).

    logits: (N, K); targets: (N,) class index. 1.0 where there is no sample. T is sought in [0.05, 20].
    """
    x = np.asarray(logits, np.float64)
    if not len(x):
        return 1.0
    rows = np.arange(len(x))

    def loss(log_t: float) -> float:
        return -float(log_softmax(x / np.exp(log_t), axis=1)[rows, targets].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def _newton(x: Array, target: Array, most: int = 100) -> tuple[float, float]:
    """Minimise the cross-entropy over (slope, intercept) of the standardised x, then undo the standardising."""
    center, spread = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([(x - center) / spread, np.ones(len(x))], 1)  # (N, 2)
    theta = np.array([0.0, float(logit(target.mean()))])
    for _ in range(most):
        p = expit(design @ theta)
        gradient = design.T @ (p - target)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - _step_length(design, target, theta, step) * step
        if np.abs(gradient).max() < 1e-9 * len(x):
            break
    slope = float(theta[0] / spread)
    return slope, float(theta[1] - slope * center)


def _step_length(design: Array, target: Array, theta: Array, step: Array) -> float:
    """Halve a Newton step until the cross-entropy does not rise."""
    now = _cross_entropy(design @ theta, target)
    length = 1.0
    while length > 1e-8 and _cross_entropy(design @ (theta - length * step), target) > now:
        length /= 2
    return length


def _cross_entropy(z: Array, target: Array) -> float:
    return float((np.logaddexp(0, z) - target * z).sum())


def _intercept_for(x: Array, target: Array, slope: float) -> float:
    """Intercept with which the mean probability equals the mean target, for a slope so small that x hardly matters."""
    return float(logit(target.mean()) - slope * x.mean())


def _log(scores: Floats) -> Array:
    """Logits of a softmax, up to what they share; a probability that became 0 counts as the least of float32."""
    return np.log(np.maximum(np.asarray(scores, np.float64), np.finfo(np.float32).tiny))


def _logit(scores: Floats) -> Array:
    return np.asarray(logit(np.clip(np.asarray(scores, np.float64), SCORE_MARGIN, 1 - SCORE_MARGIN)))
