"""`radvit bench speed` and `end-to-end`: a model in each engine and number format, and a file to its report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.cli.numbers import check_json, finish
from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.bench import end_to_end as staged
    from radvit.bench.speed import Row

SIZES, BATCHES = (224,), (1,)
SIDE = 384


def add(kinds: Commands) -> None:
    """The command lines."""
    one = kinds.add_parser("speed", help="milliseconds an image in each engine and precision, against eager PyTorch")
    one.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="a ViT of timm or transformers, random weights"
    )
    one.add_argument("--checkpoint", type=Path, metavar="RUN", help="a saved model, too, at its own size")
    one.add_argument("--size", type=int, nargs="+", metavar="PX", help="sides of the image for --model; else 224")
    one.add_argument("--batch", type=int, nargs="+", default=list(BATCHES), metavar="N", help="images a pass; else 1")
    one.add_argument("--rounds", type=int, default=15, metavar="N", help="in which each takes its turn")
    one.add_argument("--threads", type=int, default=0, metavar="N", help="cores to use; else all that are allowed")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.set_defaults(run=speed)
    two = kinds.add_parser(
        "end-to-end", help="a DICOM file to its report, by stage, beside the way that articles publish"
    )
    what = two.add_mutually_exclusive_group()
    what.add_argument("--model", metavar="NAME", help="a ViT of timm or transformers, random weights; else ViT-B/16")
    what.add_argument("--checkpoint", type=Path, metavar="RUN", help="a saved model, at its own size")
    two.add_argument("--input", type=Path, metavar="FILE", help="a DICOM file; else a phantom's CR of 1760 x 2140, RLE")
    two.add_argument("--size", type=int, metavar="PX", help="side of the image for --model; else 384")
    two.add_argument("--precision", choices=("fp32", "int8"), help="of radvit; else both in turn")
    two.add_argument("--article-windows", type=int, metavar="N", help="windows that are timed; else each once")
    two.add_argument("--rounds", type=int, default=9, metavar="N", help="in which each takes its turn")
    two.add_argument("--threads", type=int, default=0, metavar="N", help="cores to use; else all that are allowed")
    two.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    two.set_defaults(run=end_to_end)


def speed(arguments: argparse.Namespace) -> None:
    """Time, print a row an engine and number format, and write the numbers."""
    _check(arguments)
    _at_least_1("--batch", min(arguments.batch))
    _at_least_1("--size", min(arguments.size or SIZES))
    if not arguments.model and arguments.checkpoint is None:
        raise ConfigError("nothing to time; expected --model NAME or --checkpoint RUN")
    if arguments.size and not arguments.model:
        raise ConfigError("--size without --model; a saved model is timed at its own size")
    from radvit.entry import wait_asleep

    wait_asleep()
    from radvit.bench.speed import measure, subjects
    from radvit.hardware import cores
    from radvit.terminal import bar, quiet_libraries, table

    quiet_libraries()
    wanted = subjects(arguments.model, arguments.size or SIZES, arguments.checkpoint)
    with bar("timing", "tables") as advance:
        measured = measure(wanted, arguments.batch, arguments.rounds, arguments.threads or cores(), advance)
    table(_cells(measured.rows))
    print("\nratios are to eager PyTorch in FP32 on the same device, in the same rounds: more than 1 is faster")
    finish(measured.machine, measured.to_dict(), arguments.json)


def end_to_end(arguments: argparse.Namespace) -> None:
    """Time, print a row a stage, and write the numbers."""
    _check(arguments)
    _at_least_1("--size", SIDE if arguments.size is None else arguments.size)
    if arguments.size and arguments.checkpoint:
        raise ConfigError("--size with --checkpoint; a saved model is timed at its own size")
    if arguments.input and not arguments.input.is_file():
        raise ConfigError(f"--input {arguments.input} is no file; expected a DICOM file")
    from radvit.entry import wait_asleep

    wait_asleep()
    from radvit.bench.end_to_end import PRECISIONS, Plan, measure, subject
    from radvit.hardware import cores
    from radvit.terminal import bar, quiet_libraries, table

    quiet_libraries()
    precisions = (arguments.precision,) if arguments.precision else PRECISIONS
    plan = Plan(precisions, arguments.rounds, arguments.article_windows, arguments.threads or cores())
    model = subject(arguments.model, arguments.size or SIDE, arguments.checkpoint)
    with bar("timing", "rounds") as advance:
        measured = measure(model, arguments.input, plan, advance)
    table(_stage_cells(measured.rows))
    timed = f"{measured.timed} of {measured.windows} windows timed"
    print(f"\n{measured.model} at {measured.size} px; the article's way: ViT at 224 px on each window, {timed}")
    finish(measured.machine, measured.to_dict(), arguments.json)


def _at_least_1(name: str, number: int) -> None:
    if number < 1:
        raise ConfigError(f"{name} {number}; expected at least 1")


def _check(arguments: argparse.Namespace) -> None:
    if arguments.rounds < 1 or arguments.threads < 0:
        raise ConfigError(f"--rounds {arguments.rounds}, --threads {arguments.threads}; expected at least 1, and 0")
    check_json(arguments.json)


def _cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    header = ("model", "px", "batch", "engine", "precision", "on", "ms an image")
    cells = [
        (
            *(r.model, str(r.size), str(r.batch), r.engine, r.precision, r.device, f"{r.ms_per_image:.2f}"),
            f"{r.ratio_to_eager:.2f} [{r.low:.2f}, {r.high:.2f}]",
            "" if r.megabytes is None else f"{r.megabytes:.1f}",
            f"{r.difference:.1e}",
        )
        for r in rows
    ]
    return [(*header, "times eager [middle 90 %]", "MB", "difference"), *cells]


def _stage_cells(rows: Sequence[staged.Row]) -> list[tuple[str, ...]]:
    header = ("method", "precision", "stage", "ms [middle 90 %]", "times faster [middle 90 %]")
    return [header, *((r.method, r.precision, r.stage, _ms(r), _times(r)) for r in rows)]


def _ms(row: staged.Row) -> str:
    about = "about " if row.estimated else ""
    return f"{about}{row.ms:,.1f} [{row.low:,.1f}, {row.high:,.1f}]"


def _times(row: staged.Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.0f} [{row.ratio_low:.0f}, {row.ratio_high:.0f}]"
