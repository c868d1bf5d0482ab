"""`radvit bench ...`: how fast files are read and lose their identity, and how well, next to other libraries."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli import bench_metrics, bench_speed, bench_tokens, bench_train, bench_vault
from radvit.cli.commands import Commands
from radvit.cli.numbers import check_json, finish
from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.bench.deid.measure import Measured
    from radvit.bench.dicom import PoolRow, Row


def add(commands: Commands) -> None:
    """The command line."""
    bench = commands.add_parser("bench", help="measure speed against other libraries, as ratios in one run")
    kinds = bench.add_subparsers(title="what is measured", required=True, metavar="WHAT")
    one = kinds.add_parser("dicom", help="DICOM file to model tensor, against plain pydicom and scikit-image")
    one.add_argument("path", type=Path, nargs="?", metavar="PATH", help="file or folder; else phantom radiographs")
    one.add_argument("--size", type=int, default=256, help="side of the model's square, pixels")
    one.add_argument("--repeats", type=int, default=15, help="of each timing; the median counts")
    one.add_argument("--workers", type=int, default=2, help="processes of the pool that is compared with one")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.set_defaults(run=dicom)
    two = kinds.add_parser("deid", help="de-identification of generated studies, scored against their answer key")
    two.add_argument("--studies", type=int, default=200, help="how many are generated")
    two.add_argument("--seed", type=int, default=0, help="of what is generated")
    two.add_argument("--passes", type=int, default=5, help="over the radiographs whose speed is measured; 0 for none")
    two.add_argument("--workers", type=int, default=0, help="processes that de-identify; 0 works in this one")
    two.add_argument("--json", type=Path, metavar="FILE", help="write the numbers and the failed checks there too")
    two.set_defaults(run=deid)
    text = kinds.add_parser("pixel-text", help="how much burned-in text is found, and at what cost")
    text.add_argument("path", type=Path, nargs="?", metavar="PATH", help="file or folder to plant text into, too")
    text.add_argument("--images", type=int, default=3, help="phantom radiographs to plant text into")
    text.add_argument("--chinese-font", type=Path, metavar="FILE", help="plant Chinese text, too, in this font")
    text.add_argument("--rivals", action="store_true", help="measure other OCR engines that are installed")
    text.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    text.set_defaults(run=pixel_text)
    bench_vault.add(kinds)
    bench_train.add(kinds)
    bench_metrics.add(kinds)
    bench_speed.add(kinds)
    bench_tokens.add(kinds)


def dicom(arguments: argparse.Namespace) -> None:
    """Measure, print a table a part, and write the numbers."""
    from radvit.bench.dicom import measure
    from radvit.data.preprocess import Preprocess
    from radvit.terminal import table

    if arguments.repeats < 1:
        raise ConfigError(f"--repeats {arguments.repeats}; expected at least 1")
    check_json(arguments.json)
    measured = measure(arguments.path, Preprocess(arguments.size), arguments.repeats, arguments.workers)
    for rows in (_stage_cells(measured.rows), _pool_cells(measured.pool)):
        if len(rows) > 1:
            table(rows)
            print()
    finish(measured.machine, measured.to_dict(), arguments.json)


def deid(arguments: argparse.Namespace) -> None:
    """Generate studies, de-identify and score them, print the tables, and write the numbers."""
    from radvit.bench.deid.measure import measure
    from radvit.terminal import table

    if arguments.studies < 1 or arguments.passes < 0:
        raise ConfigError(f"--studies {arguments.studies}, --passes {arguments.passes}; expected at least 1, and 0")
    check_json(arguments.json)
    measured = measure(arguments.studies, arguments.seed, arguments.passes, arguments.workers)
    table(_score_cells(measured))
    print("\n" + "\n".join(_beyond_the_checks(measured)) + "\n")
    if measured.speed:
        table([("one core", "files/s", "times pydicom"), *_rate_cells(measured)])
        print()
    finish(measured.machine, measured.to_dict(), arguments.json)


def _score_cells(measured: Measured) -> list[tuple[str, ...]]:
    from radvit.bench.deid.measure import summary

    rows = (
        (name, str(tally.passed), str(tally.total), f"{tally.percent:.3f}") for name, tally in summary(measured.scores)
    )
    return [("check", "passed", "of", "%"), *rows]


def _rate_cells(measured: Measured) -> list[tuple[str, ...]]:
    return [(rate.what, f"{rate.files_per_s:.1f}", f"{rate.ratio:.2f}") for rate in measured.speed]


def _beyond_the_checks(measured: Measured) -> list[str]:
    scores, checked = measured.scores, measured.conforming
    lines = [
        f"{measured.studies} studies, {measured.files} files; {len(scores.missing)} files were not written",
        f"{len(scores.leaks)} strings that name a patient stand somewhere in an output",
        f"{scores.dates.passed} of {scores.dates.total} moved dates moved by their patient's own number of days",
    ]
    if checked is None:
        return [*lines, "dciodvfy isn't installed, so conformance was not checked"]
    return [*lines, f"dciodvfy: {len(checked.broken)} errors in {checked.files} outputs that their inputs do not have"]


def pixel_text(arguments: argparse.Namespace) -> None:
    """Measure, print a table, and write the numbers."""
    from radvit.bench.pixel_text import measure
    from radvit.terminal import table

    if arguments.images < 1:
        raise ConfigError(f"--images {arguments.images}; expected at least 1")
    check_json(arguments.json)
    measured = measure(arguments.path, arguments.images, arguments.chinese_font, arguments.rivals)
    header = ("text", "looked for by", "lines found", "regions an image", "% of other pixels", "ms")
    rows = (
        (row.kind, row.method, f"{row.found} of {row.lines}", *map(_number, (row.regions, row.other_percent, row.ms)))
        for row in measured.rows
    )
    table([header, *rows])
    print()
    finish(measured.machine, measured.to_dict(), arguments.json)


def _stage_cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    header = ("what", "stage", "radvit ms", "plain ms", "times faster")
    return [header, *((row.what, row.stage, *map(_number, (row.radvit_ms, row.plain_ms, row.ratio))) for row in rows)]


def _pool_cells(rows: Sequence[PoolRow]) -> list[tuple[str, ...]]:
    header = ("workers", "files/s", "times one worker")
    return [header, *((str(row.workers), f"{row.files_per_s:.1f}", f"{row.ratio:.2f}") for row in rows)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
