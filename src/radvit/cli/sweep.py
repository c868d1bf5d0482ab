"""`radvit sweep`: what sweeps there are, and what came of one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvit.cli.commands import Commands
from radvit.errors import ConfigError, RadvitError, SomeInputsFailedError
from radvit.sweep import ROOT

if TYPE_CHECKING:
    from radvit.sweep.ranking import Point, Ranking

DIGITS = 4


def add(commands: Commands) -> None:
    """The command line."""
    sweep = commands.add_parser("sweep", help="what sweeps of train.py found")
    inner = sweep.add_subparsers(title="commands", required=True, metavar="COMMAND")
    show_one = inner.add_parser("show", help="ranked table, figures, and the command of the best")
    show_one.add_argument("name", metavar="NAME", help="a sweep below outputs/sweep, or its folder")
    show_one.add_argument("--top", type=int, metavar="N", help="only the N best points in the table")
    show_one.set_defaults(run=show)
    list_all = inner.add_parser("list", help="every sweep with its state and its best")
    list_all.set_defaults(run=listing)
    for command in (show_one, list_all):
        command.add_argument("--root", type=Path, default=ROOT, help=f"where sweeps lie; default {ROOT}")
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")


def show(arguments: argparse.Namespace) -> None:
    """Print a sweep, and draw it into its folder."""
    from radvit.sweep.ranking import rank

    folder = folder_of(arguments.root, arguments.name)
    ranking = rank(folder)
    figures = draw(ranking, folder / "figures") if ranking.best else []
    if arguments.json:
        print(json.dumps({**facts(ranking), "figures": [str(path) for path in figures]}, indent=2))
        return
    from radvit.terminal import table

    table(rows(ranking, arguments.top), ("state",))
    if ranking.importances:
        print("\nwhat mattered: " + ", ".join(f"{k} {v:.2f}" for k, v in ranking.importances.items()))
    for path in figures:
        print(path)
    if ranking.best:
        print(f"\nthe best again:\n{ranking.command(ranking.best)}")


def listing(arguments: argparse.Namespace) -> None:
    """Print every sweep below the root."""
    from radvit.sweep.ranking import rank
    from radvit.sweep.record import RECORD

    found, lost = [], []
    for path in sorted(arguments.root.glob(f"*/{RECORD}")):
        try:
            found.append(rank(path.parent))
        except RadvitError as error:
            lost.append(str(error))
    if arguments.json:
        print(json.dumps([facts(ranking) for ranking in found], indent=2))
    elif not found and not lost:
        raise ConfigError(f"{arguments.root}: no sweep there; python train.py -m ... makes one")
    elif found:
        from radvit.terminal import table

        lines = [(r.record.study, r.record.sampler, progress(r), r.metric, number(r.best)) for r in found]
        table([("sweep", "sampler", "trials", "metric", "best"), *lines], ("sampler", "trials", "metric"))
    if lost:
        raise SomeInputsFailedError("; ".join(lost))


def folder_of(root: Path, name: str) -> Path:
    """The folder of a sweep by its name or its path. Raises ConfigError where there is none."""
    for folder in (root / name, Path(name)):
        if (folder / "sweep.json").is_file():
            return folder
    known = ", ".join(sorted(path.parent.name for path in root.glob("*/sweep.json"))) or "none"
    raise ConfigError(f"{name}: no such sweep in {root}; there is {known}")


def rows(ranking: Ranking, top: int | None) -> list[tuple[str, ...]]:
    """The table: a header, and a line a point."""
    points = ranking.points[:top]
    keys = list(dict.fromkeys(key for point in points for key in point.params))
    arrow = "less is better" if ranking.less_is_better else "more is better"
    header = ("rank", f"{ranking.metric} ({arrow})", "seeds", *keys, "state", "trials")
    return [header, *(row(i, point, keys) for i, point in enumerate(points, 1))]


def row(place: int, point: Point, keys: list[str]) -> tuple[str, ...]:
    """One line of the table."""
    params = [short(point.params.get(key, "")) for key in keys]
    state = f"{point.state}: {point.error}" if point.error else point.state
    numbers = ",".join(map(str, point.trials))
    return (str(place) if point.values else "", number(point), str(len(point.values)), *params, state, numbers)


def number(point: Point | None) -> str:
    """Mean, with the deviation where there are several seeds."""
    if point is None or point.mean is None:
        return ""
    return f"{point.mean:.{DIGITS}f}" + (f" ± {point.sd:.{DIGITS}f}" if point.sd is not None else "")


def short(value: Any) -> str:
    """A parameter, floats to four digits that count."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def progress(ranking: Ranking) -> str:
    """How many trials are in which state."""
    states = [state for point in ranking.points for state in point.states]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def facts(ranking: Ranking) -> dict[str, Any]:
    """A ranking for JSON."""
    return {
        "study": ranking.record.study,
        "sampler": ranking.record.sampler,
        "metric": ranking.metric,
        "less_is_better": ranking.less_is_better,
        "points": [
            {
                "params": point.params,
                "mean": point.mean,
                "sd": point.sd,
                "values": point.values,
                "seeds": point.seeds,
                "trials": point.trials,
                "state": point.state,
                "error": point.error,
            }
            for point in ranking.points
        ],
        "importances": ranking.importances,
        "command": ranking.command(ranking.best) if ranking.best else None,
    }


def draw(ranking: Ranking, folder: Path) -> list[Path]:
    """Write the figures. Returns their paths."""
    from radvit.sweep.figures import importance_figure, parallel_figure

    folder.mkdir(parents=True, exist_ok=True)
    figures = {"parallel.png": parallel_figure(ranking)}
    if ranking.importances:
        figures["importances.png"] = importance_figure(ranking)
    for name, figure in figures.items():
        figure.savefig(folder / name)
    return [folder / name for name in figures]
