"""How often the tests of `evaluate.py compare=` see a difference where there is none: pairs of equally good models.

Both models of a pair see the same images, share what is hard about them, and err apart from each other by the same law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from radvit.bench.machine import machine
from radvit.evaluation.compare import ALPHA, by_bootstrap, by_delong, paired
from radvit.metrics.bootstrap import Statistics, collect
from radvit.metrics.classification import average_precision
from radvit.metrics.delong import Contrast
from radvit.metrics.froc import FP_RATES, tally
from radvit.records import Boxes, Lesion

Array = npt.NDArray[np.float64]
Pair = Callable[[np.random.Generator, int, int], Contrast]

SLOT = 30.0  # pixels from one made-up box to the next, so that none touches another


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of some null pairs a test at 5 % called different.

    gap: mean of the differences, which should be 0, and gap_error, the standard error of that mean.
    """

    metric: str
    test: str
    pairs: int
    rejected: int
    gap: float
    gap_error: float

    @property
    def percent(self) -> float:
        """Share of pairs called different."""
        return 100 * self.rejected / self.pairs


@dataclass(frozen=True, slots=True)
class Measured:
    """The rates, and how they were measured."""

    rates: tuple[Rate, ...]
    patients: int
    resamples: int
    seed: int
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "rates": [{**asdict(rate), "percent": rate.percent} for rate in self.rates]}


def measure(pairs: int, patients: int, resamples: int, seed: int) -> Measured:
    """Test every kind of null pair: pairs of each, each on as many new patients."""
    rates = tuple(
        _rate(metric, test, pair, pairs, patients, resamples, np.random.default_rng([seed, i]))
        for i, (metric, test, pair) in enumerate(KINDS)
    )
    return Measured(rates, patients, resamples, seed, machine(("numpy", "scipy")))


def _rate(
    metric: str, test: str, pair: Pair, pairs: int, patients: int, resamples: int, rng: np.random.Generator
) -> Rate:
    found = [pair(rng, patients, resamples) for _ in range(pairs)]
    gaps = np.array([c.difference for c in found])
    error = float(gaps.std(ddof=1) / np.sqrt(pairs)) if pairs > 1 else float("nan")
    return Rate(metric, test, pairs, sum(c.p < ALPHA for c in found), float(gaps.mean()), error)


def scored(rng: np.random.Generator, images: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Scores (2, N) of two equal models, and targets (N,). images: how many each patient has.

    A patient has a finding or not; its images share part of what is hard about them.
    """
    whose = np.repeat(np.arange(len(images)), images)
    targets = (rng.random(len(images)) < 0.4)[whose].astype(np.float64)
    hard = rng.normal(0, 0.7, len(images))[whose] + rng.normal(0, 0.7, len(whose))
    own = rng.normal(0, 0.5, (2, len(images)))[:, whose] + rng.normal(0, 0.5, (2, len(whose)))
    return np.asarray(expit(1.5 * targets + hard + own)), targets


def detected(rng: np.random.Generator, n_images: int) -> tuple[list[Boxes], list[Boxes], list[tuple[Lesion, ...]]]:
    """Boxes of two equal detectors, and true lesions, of images with up to two lesions and up to six false alarms."""
    both: tuple[list[Boxes], list[Boxes]] = ([], [])
    truth = []
    for _ in range(n_images):
        n = int(rng.integers(0, 3))
        x = SLOT * np.arange(n + int(rng.integers(0, 7)))
        xyxy = np.stack([x, 0 * x, x + 20, 0 * x + 20], 1).astype(np.float32)
        shared = np.where(np.arange(len(x)) < n, 1.5, 0.0) + rng.normal(0, 1, len(x))
        for boxes in both:
            scores = expit(shared + rng.normal(0, 0.8, len(x))).astype(np.float32)
            boxes.append(Boxes(xyxy, scores, np.zeros(len(x), np.int64)))
        truth.append(tuple(Lesion((left, 0.0, left + 20, 20.0)) for left in x[:n].tolist()))
    return *both, truth


def _single(rng: np.random.Generator, patients: int, resamples: int) -> Contrast:
    return _areas(rng, np.ones(patients, np.int64))


def _several(rng: np.random.Generator, patients: int, resamples: int) -> Contrast:
    return _areas(rng, rng.integers(1, 5, patients))


def _areas(rng: np.random.Generator, images: npt.NDArray[np.int64]) -> Contrast:
    (a, b), targets = scored(rng, images)
    names = np.repeat(np.arange(len(images)), images).astype(str).tolist()
    return by_delong(a[:, None], b[:, None], targets[:, None], names)[0]


def _precision(rng: np.random.Generator, patients: int, resamples: int) -> Contrast:
    images = rng.integers(1, 5, patients)
    (a, b), targets = scored(rng, images)
    names = np.repeat(np.arange(patients), images).astype(str).tolist()

    def of(scores: Array) -> Statistics:
        return lambda w: {"it": average_precision(scores, targets, w)}

    return _by_bootstrap(of(a), of(b), names, rng, resamples)


def _cpm(rng: np.random.Generator, patients: int, resamples: int) -> Contrast:
    images = rng.integers(1, 4, patients)
    a, b, truth = detected(rng, int(images.sum()))

    def of(boxes: list[Boxes]) -> Statistics:
        table = tally(boxes, truth)
        return lambda w: {"it": table.sensitivity_at(FP_RATES, w).mean(1)}

    return _by_bootstrap(of(a), of(b), np.repeat(np.arange(patients), images).astype(str).tolist(), rng, resamples)


def _by_bootstrap(
    a: Statistics, b: Statistics, patients: list[str], rng: np.random.Generator, resamples: int
) -> Contrast:
    both = paired(a, b, ["it"])
    apart = float(both(np.ones((1, len(patients))))["it"][0])
    return by_bootstrap(apart, collect(both, patients, rng, resamples)["it"])


KINDS: tuple[tuple[str, str, Pair], ...] = (
    ("AUROC", "DeLong", _single),
    ("AUROC, several images a patient", "DeLong over patients", _several),
    ("average precision", "bootstrap", _precision),
    ("FROC score CPM", "bootstrap", _cpm),
)
