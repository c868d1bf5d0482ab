"""Progress of long work: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def bar(what: str, unit: str = "image") -> Iterator[Callable[[int, int], None]]:
    """Yields advance(done, total), to be called as work goes on."""
    if sys.stderr.isatty():
        with tqdm(desc=what, unit=unit, leave=True, dynamic_ncols=True) as shown:
            yield lambda done, total: _move(shown, done, total)
    else:
        yield _Lines(what, unit)


def _move(shown: tqdm[None], done: int, total: int) -> None:
    shown.total = total
    shown.update(done - shown.n)


class _Lines:
    def __init__(self, what: str, unit: str) -> None:
        self.what, self.unit = what, unit
        self.started = self.said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = now
        rate = done / max(now - self.started, 1e-9)
        left = (total - done) / rate if rate else 0.0
        log.info("%s: %d/%d, %.1f %ss/s, %.0f s left", self.what, done, total, rate, self.unit, left)
