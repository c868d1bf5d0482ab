"""`radvit bench compare`, `froc` and `detect`: whether tests keep their level, how long intervals and models take."""

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
    three = kinds.add_parser("detect", help="milliseconds an image of saved models, one beside the other")
    three.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folders or bundles; ratios are to the first"
    )
    three.add_argument("--input", type=Path, metavar="DIR", help="images to look at; else phantom radiographs")
    three.add_argument("--images", type=int, default=8, help="how many are looked at")
    three.add_argument("--repeats", type=int, default=5, help="of each; medians count")
    three.add_argument("--one-by-one", action="store_true", help="time sliding windows with one window a pass, too")
    three.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    three.set_defaults(run=detect)


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


def detect(arguments: argparse.Namespace) -> None:
    """Time, print a row a model, and write the numbers."""
    from radvit.bench.detect import measure
    from radvit.terminal import quiet_libraries, table

    if min(arguments.images, arguments.repeats) < 1:
        raise ConfigError("--images or --repeats below 1; expected at least 1")
    check_json(arguments.json)
    quiet_libraries()
    measured = measure(arguments.runs, arguments.input, arguments.images, arguments.repeats, arguments.one_by_one)
    cells = [
        (r.model, str(r.px), f"{r.windows:,}", f"{r.ms:.1f}", f"{r.times:.1f} [{r.low:.1f}, {r.high:.1f}]")
        for r in measured.rows
    ]
    table([("model", "px", "passes", "ms an image", "times the first [middle 90 %]"), *cells])
    print(f"\n{measured.images} images, looked at {measured.repeats} times by each model, in turn")
    finish(measured.machine, measured.to_dict(), arguments.json)
