"""`radvit bench compare` and `radvit bench froc`: whether tests keep their level, and how long intervals take."""

from __future__ import annotations

import argparse
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.cli.numbers import check_json, finish
from radvit.errors import ConfigError


def add(kinds: Commands) -> None:
    """The command lines."""
    one = kinds.add_parser("compare", help="how often evaluate.py compare= sees a difference between equal models")
    one.add_argument("--pairs", type=int, default=500, help="of equal models, for each test")
    one.add_argument("--patients", type=int, default=150, help="that each pair is measured on")
    one.add_argument("--resamples", type=int, default=1000, help="of patients, for each bootstrap")
    one.add_argument("--seed", type=int, default=0, help="of what is generated")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.set_defaults(run=compare)
    two = kinds.add_parser("froc", help="seconds for FROC with its intervals on many images")
    two.add_argument("--images", type=int, default=10_000, help="how many are made up")
    two.add_argument("--resamples", type=int, default=1000, help="of patients")
    two.add_argument("--repeats", type=int, default=3, help="of the timing; the median counts")
    two.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    two.set_defaults(run=froc)


def compare(arguments: argparse.Namespace) -> None:
    """Test pairs of equal models, print how many were called different, and write the numbers."""
    from radvit.bench.null_pairs import measure
    from radvit.terminal import table

    given = arguments.pairs, arguments.patients, arguments.resamples
    if min(given) < 1 or arguments.pairs < 2 or arguments.patients < 10 or arguments.seed < 0:
        raise ConfigError("--pairs, --resamples, --patients or --seed too small; expected at least 2, 1, 10 and 0")
    check_json(arguments.json)
    measured = measure(*given, arguments.seed)
    cells = [
        (r.metric, r.test, str(r.pairs), f"{r.percent:.1f}", f"{r.gap:+.4f} ± {r.gap_error:.4f}")
        for r in measured.rates
    ]
    table([("metric", "test", "pairs", "% called different", "mean difference"), *cells], words=("test",))
    print()
    finish(measured.machine, measured.to_dict(), arguments.json)


def froc(arguments: argparse.Namespace) -> None:
    """Time, print the seconds, and write the numbers."""
    from radvit.bench.froc import measure

    if min(arguments.images, arguments.resamples, arguments.repeats) < 1:
        raise ConfigError("--images, --resamples or --repeats below 1; expected at least 1")
    check_json(arguments.json)
    timed = measure(arguments.images, arguments.resamples, arguments.repeats)
    print(
        f"FROC of {timed.images:,} images ({timed.boxes:,} boxes): {timed.matching_s:.2f} s, {timed.resamples:,} "
        f"resamples: {timed.bootstrap_s:.2f} s, together {timed.total_s:.2f} s"
    )
    finish(timed.machine, timed.to_dict(), arguments.json)
