"""`radvit bench ...`: how fast files become model tensors, and how much burned-in text is found."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.bench.dicom import PoolRow, Row


def add(commands: Commands) -> None:
    """The command line."""
    bench = commands.add_parser("bench", help="measure speed against other libraries, as ratios in one run")
    kinds = bench.add_subparsers(title="what is measured", required=True, metavar="WHAT")
    one = kinds.add_parser("dicom", help="DICOM file to model tensor, against plain pydicom and scikit-image")
    one.add_argument("path", type=Path, nargs="?", metavar="PATH", help="file or folder; else phantom radiographs")
    one.add_argument("--size", type=int, default=256, help="side of the model's square, pixels")
    one.add_argument("--repeats", type=int, default=15)
    one.add_argument("--workers", type=int, default=2, help="processes of the pool that is compared with one")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.set_defaults(run=dicom)
    text = kinds.add_parser("pixel-text", help="how much burned-in text is found, and at what cost")
    text.add_argument("path", type=Path, nargs="?", metavar="PATH", help="file or folder to plant text into, too")
    text.add_argument("--images", type=int, default=3, help="phantom radiographs to plant text into")
    text.add_argument("--chinese-font", type=Path, metavar="FILE", help="plant Chinese text, too, in this font")
    text.add_argument("--rivals", action="store_true", help="measure other OCR engines that are installed")
    text.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    text.set_defaults(run=pixel_text)


def dicom(arguments: argparse.Namespace) -> None:
    """Measure, print a table a part, and write the numbers."""
    from radvit.bench.dicom import measure
    from radvit.data.preprocess import Preprocess
    from radvit.terminal import table

    if arguments.repeats < 1:
        raise ConfigError(f"--repeats {arguments.repeats}; expected at least 1")
    if arguments.json and not arguments.json.parent.is_dir():
        raise ConfigError(f"{arguments.json.parent} is no folder; expected one to write the numbers into")
    measured = measure(arguments.path, Preprocess(arguments.size), arguments.repeats, arguments.workers)
    for rows in (_stage_cells(measured.rows), _pool_cells(measured.pool)):
        if len(rows) > 1:
            table(rows)
            print()
    print(", ".join(f"{name} {value}" for name, value in measured.machine.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(measured.to_dict(), indent=2) + "\n")


def pixel_text(arguments: argparse.Namespace) -> None:
    """Measure, print a table, and write the numbers."""
    from radvit.bench.pixel_text import measure
    from radvit.terminal import table

    if arguments.images < 1:
        raise ConfigError(f"--images {arguments.images}; expected at least 1")
    if arguments.json and not arguments.json.parent.is_dir():
        raise ConfigError(f"{arguments.json.parent} is no folder; expected one to write the numbers into")
    measured = measure(arguments.path, arguments.images, arguments.chinese_font, arguments.rivals)
    header = ("text", "looked for by", "lines found", "regions an image", "% of other pixels", "ms")
    rows = (
        (row.kind, row.method, f"{row.found} of {row.lines}", *map(_number, (row.regions, row.other_percent, row.ms)))
        for row in measured.rows
    )
    table([header, *rows])
    if arguments.json:
        arguments.json.write_text(json.dumps(measured.to_dict(), indent=2) + "\n")


def _stage_cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    header = ("what", "stage", "radvit ms", "plain ms", "times faster")
    return [header, *((row.what, row.stage, *map(_number, (row.radvit_ms, row.plain_ms, row.ratio))) for row in rows)]


def _pool_cells(rows: Sequence[PoolRow]) -> list[tuple[str, ...]]:
    header = ("workers", "files/s", "times one worker")
    return [header, *((str(row.workers), f"{row.files_per_s:.1f}", f"{row.ratio:.2f}") for row in rows)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
