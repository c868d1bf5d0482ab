"""`radvit data`: look at a data set before a model learns from it, and divide it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.cli.composed import train_config
from radvit.cli.numbers import check_json
from radvit.errors import SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.config import TrainConfig
    from radvit.data.checks import Examination
    from radvit.data.samples import Cohort
    from radvit.data.splits import Splits


def add(top: Commands) -> None:
    """The command line."""
    data = top.add_parser("data", help="check a data set before training, and divide it")
    commands = data.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], words: str, page: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}: docs/{page}.")
        one.add_argument("config", nargs="+", metavar="KEY=VALUE", help="as train.py takes it: experiment=NAME ...")
        one.set_defaults(run=run)
        return one

    check = command("check", data_check, "find leaks between splits, duplicates, bad labels and odd images", "check.md")
    check.add_argument("--json", type=Path, metavar="FILE", help="write what was found there, too")
    split = command("split", data_split, "write the splits that train.py would use", "splits.md")
    split.add_argument("--output", type=Path, required=True, metavar="FILE", help="a splits.json")


def data_check(arguments: argparse.Namespace) -> None:
    """Say everything that is wrong or odd. Raises SomeInputsFailedError where something is."""
    from radvit.data.checks import examine

    check_json(arguments.json)
    config, cohort, splits = divided(arguments.config)
    found = examine(cohort, splits, config.data.accept_leaks)
    if arguments.json:
        document = {"fingerprint": cohort.fingerprint, "split_hash": splits.hash, **found.to_dict()}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    show_counts(found.counts)
    show_remarks(found)
    if not found.clean:
        raise SomeInputsFailedError("the data have problems: they are named above")


def data_split(arguments: argparse.Namespace) -> None:
    """Write splits without training."""
    from radvit.data.checks import split_counts
    from radvit.data.splits import save_splits

    _, cohort, splits = divided(arguments.config)
    save_splits(arguments.output, splits, cohort.samples)
    show_counts(split_counts(cohort, splits))
    print(f"wrote {arguments.output}")


def divided(words: list[str]) -> tuple[TrainConfig, Cohort, Splits]:
    """The cohort and the splits of a configuration."""
    from radvit import assemble

    config = train_config(words)
    cohort = assemble.cohort(config.data, assemble.preprocess(config.data), config.deid, config.read)
    return config, cohort, assemble.splits(config.data, cohort, config.deid)


def show_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    """A row for each split: images, patients, studies, and images of each label."""
    from radvit.terminal import table

    columns = list(next(iter(counts.values())))
    rows = [(split, *(f"{of[column]:,}" for column in columns)) for split, of in counts.items()]
    table([("split", *columns), *rows])
    print()


def show_remarks(found: Examination) -> None:
    """A row for each remark, and all of it in a line."""
    from radvit.data.checks import Level
    from radvit.terminal import table

    if found.remarks:
        rows = [(one.level.value, one.kind, one.words, " ".join(one.names[:2])) for one in found.remarks]
        table([("", "what", "how many", "such as"), *rows], words=("what", "how many", "such as"))
        print()
    stops = sum(one.level is Level.STOPS for one in found.remarks)
    looks = sum(one.level is Level.LOOK for one in found.remarks)
    print(f"{stops} found that would stop training, {looks} to be looked at")
