"""Old numbers beside new ones: do they lie where another training of the same recipe may lie?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from scipy.stats import t

from radvit.errors import DataError

LEVEL = 0.95
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. old, new: means over the seeds. low, high: where the new mean is expected."""

    metric: str
    old: float
    sd: float
    new: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """New less old."""
        return self.new - self.old

    @property
    def inside(self) -> bool:
        """Whether the new mean is where it is expected."""
        return self.low - ROUNDING <= self.new <= self.high + ROUNDING


def compare(old: Mapping[str, Any], new: Mapping[str, Any], metrics: Sequence[str] | None = None) -> list[Row]:
    """The rows of two results.json. metrics: which to compare; None for all that the old ones have a value for.

    Raises DataError where a metric is in one of the two alone.
    """
    defined = [name for name, metric in old["metrics"].items() if metric["mean"] is not None]
    rows = []
    for name in defined if metrics is None else metrics:
        if name not in defined or new["metrics"].get(name, {}).get("mean") is None:
            raise DataError(f"metric {name}: no value in both; the recorded ones are {', '.join(defined)}")
        was, now = old["metrics"][name], new["metrics"][name]
        low, high = expected(was, now["n_seeds"], old.get("intervals", {}).get(name))
        rows.append(Row(name, was["mean"], was["sd"], now["mean"], low, high))
    return rows


def expected(was: Mapping[str, Any], n_new: int, intervals: Sequence[Sequence[float]] | None) -> tuple[float, float]:
    """Where the mean over n_new further seeds is expected with 95 %.

    Several old seeds: their prediction interval, mean +- t(n - 1) sd sqrt(1 / n + 1 / n_new) (Hahn and Meeker 1991,
    4.7). One old seed: its own interval over patients. Raises DataError where that wasn't recorded.
    """
    n = was["n_seeds"]
    if n > 1:
        half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * was["sd"] * sqrt(1 / n + 1 / n_new)
        return was["mean"] - half, was["mean"] + half
    if not intervals or None in intervals[0]:
        raise DataError("one seed without an interval; expected several seeds, or results recorded with intervals")
    return intervals[0][0], intervals[0][1]
