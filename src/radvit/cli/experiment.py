"""`radvit experiment`: mean and deviation over the seeds of a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.errors import DataError


def add(commands: Commands) -> None:
    """The command line."""
    one = commands.add_parser("experiment", help="mean and deviation over the seeds of a recipe, as results.json")
    one.add_argument("folder", type=Path, metavar="EXPERIMENT", help="such as experiments/pneumoniamnist")
    one.add_argument("evaluations", type=Path, nargs="+", metavar="EVALUATION", help="folders that evaluate.py wrote")
    one.add_argument("--config", type=Path, required=True, help="the config.yaml of one of the runs")
    one.set_defaults(run=experiment)


def experiment(arguments: argparse.Namespace) -> None:
    """Write results.json of an experiment from evaluations of several seeds."""
    from radvit.evaluation.aggregate import write_results
    from radvit.terminal import table

    config = arguments.config
    if not config.is_file():
        raise DataError(f"{config} does not exist; expected the config.yaml of a run")
    results = write_results(arguments.folder, arguments.evaluations, config)
    rows = [
        (name, *(f"{m[k]:.4f}" if m[k] is not None else "" for k in ("mean", "sd")))
        for name, m in results["metrics"].items()
    ]
    table([(f"{len(results['seeds'])} seeds", "mean", "sd"), *rows])
