"""Calls timed in turn, so that what else the machine does falls on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def interleaved(
    calls: Sequence[Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Seconds of each call in each repeat, by a clock; one round before them warms up and isn't counted."""
    seconds: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, kept in zip(calls, seconds, strict=True):
            started = clock()
            call()
            if repeat:
                kept.append(clock() - started)
    return seconds
