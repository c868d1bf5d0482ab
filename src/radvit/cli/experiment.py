"""`radvit experiment`: record a claim from measured runs, and run a recorded one again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvit.cli.commands import Commands
from radvit.errors import SomeInputsFailedError
from radvit.plural import counted

if TYPE_CHECKING:
    from radvit.experiment.compare import Row

ROOT = Path("experiments")
SPLITS = ("train", "val", "test")


def add(commands: Commands) -> None:
    """The command line."""
    top = commands.add_parser("experiment", help="record a claim from measured runs, and run one again")
    inner = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    one = inner.add_parser("record", help="experiments/NAME from runs that evaluate.py measured, one a seed")
    one.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders of train.py")
    one.add_argument("--name", required=True, help="of the experiment and its folder")
    one.add_argument("--claim", default="", metavar="TEXT", help="what the numbers are to show")
    one.add_argument("--split", default="test", choices=SPLITS, help="which evaluation of a run; default test")
    where = "folders of evaluate.py, one a run; default RUN/evaluation/SPLIT"
    one.add_argument("--evaluations", type=Path, nargs="+", default=(), metavar="DIR", help=where)
    one.set_defaults(run=record)
    two = inner.add_parser("reproduce", help="train and measure it again, and compare")
    two.add_argument("name", metavar="NAME", help="a folder below experiments")
    for key, what in (("data", "the data set"), ("truth", "its boxes"), ("cache", "arrays made of it")):
        two.add_argument(f"--{key}", type=Path, metavar="PATH", help=f"where this machine has {what}")
    two.add_argument("--seeds", type=int, nargs="+", metavar="S", help="only some of the recorded seeds")
    two.add_argument("--metrics", nargs="+", metavar="NAME", help="only these decide; default all")
    two.add_argument("--output", type=Path, metavar="DIR", help="default outputs/reproduce/NAME")
    two.set_defaults(run=reproduce)
    for command in (one, two):
        command.add_argument("--root", type=Path, default=ROOT, help=f"where experiments lie; default {ROOT}")


def record(arguments: argparse.Namespace) -> None:
    """Write an experiment's folder."""
    from radvit.experiment.record import record
    from radvit.terminal import table

    given = (arguments.runs, arguments.root, arguments.name, arguments.claim, arguments.split, arguments.evaluations)
    written = record(*given)
    table(summary(written.results))
    kept = "; its README.md was written by a person and is as it was" if written.page_kept else ""
    print(f"wrote {written.folder}{kept}")


def summary(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Mean and deviation of each metric."""
    rows = [
        (name, *(f"{m[k]:.4f}" if m[k] is not None else "" for k in ("mean", "sd")))
        for name, m in results["metrics"].items()
    ]
    return [(counted(len(results["seeds"]), "seed"), "mean", "sd"), *rows]


def reproduce(arguments: argparse.Namespace) -> None:
    """Run an experiment again. Raises SomeInputsFailedError where a metric isn't where it is expected."""
    from radvit.experiment.compare import compare
    from radvit.experiment.reproduce import Moved, recorded, reproduce
    from radvit.terminal import table

    folder = arguments.root / arguments.name
    output = arguments.output or Path("outputs/reproduce") / arguments.name
    moved = Moved(arguments.data, arguments.truth, arguments.cache)
    new = reproduce(folder, output, moved, arguments.seeds)
    rows = compare(recorded(folder), new, arguments.metrics)
    head = ("metric", "recorded", "sd", "now", "difference", "expected from", "to", "inside")
    table([head, *map(compared, rows)])
    outside = [row.metric for row in rows if not row.inside]
    if outside:
        count = f"{len(outside)} of {len(rows)} metrics"
        raise SomeInputsFailedError(f"{count} outside of what was expected: {', '.join(outside)}")


def compared(row: Row) -> tuple[str, ...]:
    """One line of the comparison."""
    numbers = (row.old, row.sd, row.new, row.difference, row.low, row.high)
    return (row.metric, *(f"{number:.4f}" for number in numbers), "yes" if row.inside else "NO")
