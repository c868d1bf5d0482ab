"""Where time goes: seconds by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class Laps:
    """Seconds spent in each stage so far. Each stage may be timed by one thread only."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def lap(self, stage: str) -> Iterator[None]:
        """Count the time until leaving for a stage, also where it is left by an error."""
        start = perf_counter()
        try:
            yield
        finally:
            self.add(stage, perf_counter() - start)

    def passing(self) -> Callable[[str], None]:
        """A function that is told the name of each stage once it is over; the first one begins now."""
        last = perf_counter()

        def passed(stage: str) -> None:
            nonlocal last
            now = perf_counter()
            self.add(stage, now - last)
            last = now

        return passed

    def add(self, stage: str, seconds: float) -> None:
        """Count time that was measured elsewhere."""
        self.seconds[stage] += seconds
