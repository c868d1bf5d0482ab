"""`radvit bench tokens`: what merging tokens costs a saved model in accuracy, and gives in time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.cli.numbers import check_json, finish
from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.bench.tokens import Measured


def add(kinds: Commands) -> None:
    """The command line."""
    one = kinds.add_parser("tokens", help="accuracy against time of a saved model whose tokens merge")
    one.add_argument("trained", type=Path, metavar="RUN", help="a run folder, its data where they lay in training")
    one.add_argument("--shares", default="0.05,0.1,0.2,0.3", help="of the tokens, merged after each block; with commas")
    one.add_argument("--split", choices=("val", "test"), default="val", help="of the run's own data")
    one.add_argument("--batch", type=int, default=8, help="images of one timed pass")
    one.add_argument("--repeats", type=int, default=9, help="of each timing; medians count")
    one.add_argument("--no-onnx", action="store_true", help="time PyTorch alone")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.add_argument("--figure", type=Path, metavar="FILE", help="draw the curve there")
    one.set_defaults(run=tokens)


def tokens(arguments: argparse.Namespace) -> None:
    """Measure, print a row a share, draw the curve, and write the numbers."""
    from radvit.bench.tokens import measure
    from radvit.terminal import quiet_libraries, table

    if min(arguments.repeats, arguments.batch) < 1:
        raise ConfigError("--repeats or --batch below 1; expected at least 1")
    shares = numbers(arguments.shares)
    check_json(arguments.json)
    check_json(arguments.figure)
    quiet_libraries()
    exported = not arguments.no_onnx
    measured = measure(arguments.trained, shares, arguments.split, arguments.batch, arguments.repeats, exported)
    table(cells(measured))
    print(
        f"\n{measured.images} images of {measured.split}, timed {measured.repeats} times in turn, {measured.batch} each"
    )
    if arguments.figure:
        from radvit.bench.tokens_figure import curve

        curve(measured).savefig(arguments.figure)
    finish(measured.machine, measured.to_dict(), arguments.json)


def numbers(text: str) -> list[float]:
    """Numbers between commas. Raises ConfigError where one is none."""
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--shares {text}; expected numbers with commas between them, as 0.1,0.2") from error


def cells(measured: Measured) -> list[tuple[str, ...]]:
    """A table for a terminal."""
    first = measured.rows[0]
    timed = [word for engine in first.speed for word in (f"{engine} ms", "times as fast [middle 90 %]")]
    rows: list[tuple[str, ...]] = [("share", "last block's tokens", *first.metrics, *timed)]
    for row in measured.rows:
        values = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in row.metrics.values()]
        speeds = [
            word for s in row.speed.values() for word in (f"{s.ms:.1f}", f"{s.times:.2f} [{s.low:.2f}, {s.high:.2f}]")
        ]
        rows.append((f"{row.share:g}", str(row.tokens[-1]), *values, *speeds))
    return rows
