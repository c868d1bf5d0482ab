"""What a person sees while a command runs: progress, tables, and nothing of what libraries chatter."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


def quiet_libraries() -> None:
    """Silence what Lightning and others tell about themselves; their errors still come through."""
    lightning = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")
    hub = ("huggingface_hub", "timm")  # which tell of each try to reach what can't be reached
    for name in (*lightning, *hub, "onnxscript", "torch.onnx", "mlflow", "alembic", "root"):
        logging.getLogger(name).setLevel(logging.ERROR if name != "root" else logging.INFO)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torch|onnxscript|copyreg")


def table(rows: Sequence[Sequence[str]], words: Sequence[str] = ()) -> None:
    """Print rows, the first of them a header, as a table; numbers to the right.

    words: names of further columns that stand to the left, and may take several lines.
    """
    from rich.console import Console
    from rich.table import Table

    shown = Table(show_edge=False, pad_edge=False)
    for place, name in enumerate(rows[0]):
        if name in words:
            shown.add_column(name, overflow="fold")
        else:
            shown.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in rows[1:]:
        shown.add_row(*row)
    width = None if sys.stdout.isatty() else 1000
    Console(width=width, markup=False, emoji=False, highlight=False).print(shown)  # [nan, nan] is no markup


@contextmanager
def bar(what: str, unit: str = "images") -> Iterator[Callable[[int, int], None]]:
    """Yields advance(done, total), to be called as work goes on."""
    if sys.stderr.isatty():
        with tqdm(desc=what, unit=f" {unit}", leave=True, dynamic_ncols=True) as shown:
            yield lambda done, total: _move(shown, done, total)
    else:
        yield _Lines(what, unit)


def _move(shown: tqdm[NoReturn], done: int, total: int) -> None:
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
        log.info("%s: %d/%d, %.1f %s/s, %.0f s left", self.what, done, total, rate, self.unit, left)
