"""Percentile bootstrap that resamples patients, not images: images of one patient are not independent.

A resample is kept as a row of counts (how often each patient was drawn), and a metric as weighted sums, so that
hundreds of resamples are computed in one go and no list of images is ever copied.
Source: Field and Welsh 2007, "Bootstrapping clustered data" (the randomized cluster bootstrap); Efron 1979.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Statistics = Callable[[Array], Mapping[str, Array]]

CELLS_AT_ONCE = 1_000_000  # (resample, image) pairs in one chunk: 8 MB of weights, which stays in the cache


def clustered_interval(
    statistics: Statistics,
    patients: Sequence[str],
    rng: np.random.Generator,
    n_boot: int = 1000,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile interval of each statistic over resampled patients.

    statistics: maps image weights (B, N) to named values (B,). patients: whose each of the N images is.
    Returns name -> (low, high); resamples where a statistic is nan are left out, (nan, nan) where all are.
    """
    drawn = collect(statistics, patients, rng, n_boot)
    return {name: percentile_interval(values, level) for name, values in drawn.items()}


def collect(statistics: Statistics, patients: Sequence[str], rng: np.random.Generator, n_boot: int) -> dict[str, Array]:
    """Value of each statistic in each of n_boot resamples: name -> (n_boot, ...)."""
    parts: dict[str, list[Array]] = {}
    for weights in image_weights(patients, rng, n_boot):
        for name, values in statistics(weights).items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def image_weights(patients: Sequence[str], rng: np.random.Generator, n_boot: int) -> Iterator[Array]:
    """Chunks (b, N) of image weights, n_boot rows in all: each image counts as often as its patient was drawn.

    Drawing P patients with replacement and counting them is a multinomial draw over P equal cells. The patients
    are taken in order of first appearance, so the draw does not depend on how they are named.
    """
    index = first_appearance(patients)
    n_patients = int(index.max(initial=-1)) + 1
    rows = max(1, CELLS_AT_ONCE // max(1, len(index)))
    for start in range(0, n_boot if n_patients else 0, rows):
        b = min(rows, n_boot - start)
        drawn = rng.integers(0, n_patients, size=(b, n_patients)) + np.arange(b)[:, None] * n_patients
        counts = np.bincount(drawn.ravel(), minlength=b * n_patients).reshape(b, n_patients)
        yield counts[:, index].astype(np.float64)


def first_appearance(names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number each name by its first appearance: ["b", "a", "b"] -> [0, 1, 0]."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], dtype=np.int64)


def percentile_interval(values: Array, level: float = 0.95) -> tuple[float, float]:
    """The central `level` of the defined values (B,); (nan, nan) where none is defined."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return (float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def two_sided_p(differences: Array) -> float:
    """Two-sided p-value of "no difference", from resampled differences (B,); in step with their percentile interval.

    Twice the smaller share of resamples on either side of 0, those at 0 counted on both, with one added to each count
    so that it is never 0. nan where no difference is defined. Source: Efron and Tibshirani 1993, 15.4; Davison and
    Hinkley 1997, 4.2 (the one that is added).
    """
    defined = differences[np.isfinite(differences)]
    if not len(defined):
        return float("nan")
    rounded = np.where(np.abs(defined) < 1e-12, 0.0, defined)
    smaller = min(int((rounded <= 0).sum()), int((rounded >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(defined) + 1))
