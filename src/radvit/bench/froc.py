"""How long FROC and its intervals take on a large cohort."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.bench.machine import machine
from radvit.bench.null_pairs import detected
from radvit.metrics.bootstrap import clustered_interval
from radvit.metrics.froc import FP_RATES, Tally, tally

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds for matching all boxes, and for the resamples; medians over repeats."""

    images: int
    boxes: int
    resamples: int
    matching_s: float
    bootstrap_s: float
    machine: dict[str, str | int]

    @property
    def total_s(self) -> float:
        """Both together."""
        return self.matching_s + self.bootstrap_s

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "total_s": self.total_s}


def measure(images: int, resamples: int, repeats: int, seed: int = 0) -> Timed:
    """Time the seven sensitivities and CPM of made-up images, two a patient, with their 95 % intervals."""
    boxes, _, truth = detected(np.random.default_rng(seed), images)
    patients = [str(i // 2) for i in range(images)]
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        table = tally(boxes, truth)
        matched = time.perf_counter()
        clustered_interval(partial(_named, table), patients, np.random.default_rng(seed), resamples)
        seconds.append((matched - started, time.perf_counter() - matched))
    matching, bootstrap = np.median(seconds, axis=0).tolist()
    return Timed(images, sum(map(len, boxes)), resamples, matching, bootstrap, machine(("numpy", "scipy")))


def _named(table: Tally, weights: Array) -> dict[str, Array]:
    reached = table.sensitivity_at(FP_RATES, weights)
    return {"cpm": reached.mean(1), **{f"@{rate:g}": reached[:, i] for i, rate in enumerate(FP_RATES)}}
