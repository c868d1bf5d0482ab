"""`radvit bench train` and `transforms`: train.py next to a bare loop, the cache next to decoding, and MONAI."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.cli.numbers import check_json, finish
from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.bench.loading import LoadingRow
    from radvit.bench.training import Spread, TrainingRow

PARTS = ("small", "base", "loading")


def add(kinds: Commands) -> None:
    """The command line."""
    one = kinds.add_parser("train", help="train.py next to a bare PyTorch loop, and the cache next to decoding")
    one.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="small: ViT at 28 px; base: ViT-B")
    one.add_argument("--steps", type=int, default=16, help="steps of each of the small ViT's three epochs")
    one.add_argument("--base-steps", type=int, default=4, metavar="N", help="the same for ViT-B/16")
    one.add_argument("--base-batch", type=int, default=2, metavar="N", help="images a step of ViT-B/16")
    one.add_argument("--repeats", type=int, default=7, help="of the loading")
    one.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="which device")
    one.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="of both loops")
    one.add_argument("--compile", action="store_true", help="compile the model, for both loops")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.set_defaults(run=train)
    two = kinds.add_parser("transforms", help="changing an image, next to MONAI's array transforms")
    two.add_argument("--sizes", type=int, nargs="+", default=[28, 224, 512], metavar="PX", help="sides of the image")
    two.add_argument("--repeats", type=int, default=15, help="of each timing; the median counts")
    two.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    two.set_defaults(run=transforms)


def train(arguments: argparse.Namespace) -> None:
    """Measure, print a table a part, and write the numbers."""
    from radvit.bench.training import Measured, facts
    from radvit.terminal import quiet_libraries, table

    _check(arguments)
    quiet_libraries()
    trained = [_trained(part, arguments) for part in arguments.parts if part != "loading"]
    loaded = _loaded(arguments) if "loading" in arguments.parts else []
    for rows in (_step_cells(trained), _ratio_cells(trained), _flop_cells(trained), _loading_cells(loaded)):
        if len(rows) > 1:
            table(rows)
            print()
    measured = Measured(trained, loaded, facts())
    finish(measured.machine, measured.to_dict(), arguments.json)


def _check(arguments: argparse.Namespace) -> None:
    if min(arguments.steps, arguments.base_steps) < 2 or min(arguments.base_batch, arguments.repeats) < 1:
        raise ConfigError("--steps and --base-steps must be at least 2, --base-batch and --repeats at least 1")
    check_json(arguments.json)


def _trained(part: str, arguments: argparse.Namespace) -> TrainingRow:
    from radvit.bench.training import BASE, SMALL, Device, measure

    device = Device(arguments.accelerator, arguments.precision, arguments.compile)
    if part == "small":
        return measure(SMALL, device, arguments.steps, None)
    return measure(BASE, device, arguments.base_steps, arguments.base_batch)


def _loaded(arguments: argparse.Namespace) -> list[LoadingRow]:
    from radvit.bench.loading import measure

    return measure(512, arguments.repeats)


def _step_cells(rows: Sequence[TrainingRow]) -> list[tuple[str, ...]]:
    header = ("what", "batch", "steps", "train.py ms", "bare ms", "bare, random ms", "images/s", "epoch's end ms")
    cells = ((r.step_ms, r.bare_ms, r.random_ms, r.images_per_s, r.epoch_end_ms) for r in rows)
    return [
        header,
        *(
            (r.case, str(r.batch), str(r.steps), *(f"{x:.1f}" for x in numbers))
            for r, numbers in zip(rows, cells, strict=True)
        ),
    ]


def _ratio_cells(rows: Sequence[TrainingRow]) -> list[tuple[str, ...]]:
    header = ("what", "overhead %", "of processor time %", "of epochs' ends %", "fed", "of processor time")
    return [header, *(_ratios(row) for row in rows)]


def _ratios(row: TrainingRow) -> tuple[str, ...]:
    ends = "" if row.epoch_overhead is None else f"{row.epoch_overhead:.2%}"
    overheads = (_spread(one, ".1%") for one in (row.overhead, row.overhead_cpu))
    return (row.case, *overheads, ends, *(_spread(one, ".3f") for one in (row.fed, row.fed_cpu)))


def _spread(one: Spread | None, form: str) -> str:
    return "" if one is None else f"{one.median:{form}} ({one.low:{form}} to {one.high:{form}})"


def _flop_cells(rows: Sequence[TrainingRow]) -> list[tuple[str, ...]]:
    header = ("what", "GFLOP a step", "peak GFLOP/s", "MFU", "peak is")
    return [header, *((r.case, f"{r.gflops:.1f}", f"{r.peak_gflops:.0f}", f"{r.mfu:.2f}", r.peak) for r in rows)]


def _loading_cells(rows: Sequence[LoadingRow]) -> list[tuple[str, ...]]:
    header = ("images", "side px", "images/s", "times decoding")
    return [header, *((r.how, str(r.size), f"{r.images_per_s:.1f}", f"{r.ratio:.1f}") for r in rows)]


def transforms(arguments: argparse.Namespace) -> None:
    """Measure the changes of images, print a table, and write the numbers."""
    from radvit.bench.training import facts
    from radvit.bench.transforms import measure
    from radvit.terminal import table

    if min(arguments.repeats, *arguments.sizes) < 1:
        raise ConfigError("--repeats and --sizes must be at least 1")
    check_json(arguments.json)
    rows = measure(arguments.sizes, arguments.repeats)
    header = ("change", "side px", "radvit us", "MONAI array us", "MONAI tensor us", "batched us", "times faster")
    cells = ((r.radvit_us, r.monai_array_us, r.monai_tensor_us, r.batched_us) for r in rows)
    body = (
        (r.change, str(r.size), *(f"{x:.0f}" for x in c), f"{r.ratio:.1f}") for r, c in zip(rows, cells, strict=True)
    )
    table([header, *body])
    print()
    finish(facts(), {"rows": [row.to_dict() for row in rows], "machine": facts()}, arguments.json)
