"""`radvit ...`: the tools that work on files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from radvit import __version__
from radvit.cli import audit, bench, data, deid, experiment, inspect, phantom, report, review, sweep, vault, weights


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="radvit", description=__doc__)
    top.add_argument("--version", action="version", version=f"radvit {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (phantom, data, deid, inspect, vault, audit, report, review, sweep, experiment, weights, bench):
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command. Exit code 0: done; 1: some inputs failed; 2: bad arguments, in one line."""
    arguments = parser().parse_args(argv)
    from radvit.entry import guarded  # Hydra takes longer to load than all of the above

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    guarded(lambda: arguments.run(arguments))
