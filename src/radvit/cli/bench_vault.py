"""`radvit bench vault`: how fast the vault is, and whether it loses anything to kills."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.cli.numbers import check_json, finish
from radvit.errors import ConfigError, SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.bench.kills import KillReport
    from radvit.bench.vault import Size, Speed


def add(kinds: Commands) -> None:
    """The command line."""
    one = kinds.add_parser("vault", help="the vault's speed, sizes and memory, and what kills leave of it")
    one.add_argument("--repeats", type=int, default=7, help="of each timing; the median counts")
    one.add_argument("--megabytes", type=int, default=100, help="of the file that is timed")
    one.add_argument("--sizes", type=int, nargs="+", default=[1, 100, 2000], metavar="MB", help="files for memory")
    one.add_argument("--kills", type=int, default=0, help="processes to kill while they put and rotate")
    one.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    one.set_defaults(run=vault)


def vault(arguments: argparse.Namespace) -> None:
    """Measure, print a table a part, and write the numbers."""
    from radvit.bench.vault import Measured, facts, measure_sizes, measure_speeds
    from radvit.terminal import table

    _check(arguments)
    speeds = measure_speeds(arguments.megabytes, arguments.repeats)
    table(_speed_cells(speeds))
    print()
    sizes = measure_sizes(arguments.sizes)
    table(_size_cells(sizes))
    print()
    kills = _killed(arguments.kills, arguments.seed) if arguments.kills else None
    measured = Measured(speeds, sizes, kills, facts())
    finish(measured.machine, measured.to_dict(), arguments.json)
    if kills and (kills.lost or kills.faults or kills.quick_faults):
        raise SomeInputsFailedError("kills lost or damaged what had been stored")


def _check(arguments: argparse.Namespace) -> None:
    least = min(arguments.repeats, arguments.megabytes, *arguments.sizes)
    if least < 1 or arguments.kills < 0:
        raise ConfigError("--repeats, --megabytes and --sizes must be at least 1, --kills at least 0")
    check_json(arguments.json)


def _killed(kills: int, seed: int) -> KillReport:
    from radvit.bench.kills import kill_at_random
    from radvit.terminal import bar, table

    with TemporaryDirectory(prefix="radvit-bench-") as folder, bar("killing", "processes") as advance:
        report = kill_at_random(Path(folder), kills, seed, advance)
    table(_kill_cells(report))
    print()
    return report


def _speed_cells(rows: Sequence[Speed]) -> list[tuple[str, ...]]:
    header = ("what", "MB", "vault MB/s", "plain MB/s", "ratio", "plain is")
    cells = ((row.what, str(row.mb), row.mb_per_s, row.plain_mb_per_s, row.ratio, row.against) for row in rows)
    return [header, *((what, mb, f"{a:.0f}", f"{b:.0f}", f"{r:.2f}", against) for what, mb, a, b, r, against in cells)]


def _size_cells(rows: Sequence[Size]) -> list[tuple[str, ...]]:
    header = ("MB", "stored / plain", "put, peak MB", "get, peak MB")
    return [
        header,
        *((str(row.mb), f"{row.size_ratio:.6f}", f"{row.put_mb:.1f}", f"{row.get_mb:.1f}") for row in rows),
    ]


def _kill_cells(report: KillReport) -> list[tuple[str, ...]]:
    from dataclasses import asdict

    told = asdict(report)
    return [tuple(name.replace("_", " ") for name in told), tuple(str(value) for value in told.values())]
