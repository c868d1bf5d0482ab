"""An experiment's folder from runs that were measured: configuration, command, results, figure and page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from radvit.assemble import hyperparameters
from radvit.errors import ConfigError, DataError
from radvit.evaluation.aggregate import read_metrics, write_results
from radvit.experiment.figure import seeds_figure
from radvit.experiment.page import MARK, page
from radvit.run.folder import CONFIG, saved_config

RESULTS, PAGE, FIGURE = "results.json", "README.md", "seeds.png"
OVERRIDES = Path(".hydra") / "overrides.yaml"
NAME = re.compile(r"[\w.-]+")
OWN = ("seed=", "run_dir=", "resume=", "deid.key=")  # of one run, on one machine
ABSOLUTE = re.compile(r"=(['\"]?)/(?:[^'\"]*/)?([^/'\"]+)\1$")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` wrote. page_kept: the folder's page was written by a person, and is as it was."""

    folder: Path
    results: dict[str, Any]
    page_kept: bool


def record(
    runs: Sequence[Path], root: Path, name: str, claim: str, split: str, evaluations: Sequence[Path] = ()
) -> Recorded:
    """Write root/name from run folders, one a seed. evaluations: where they aren't in RUN/evaluation/SPLIT.

    Raises ConfigError or DataError where runs weren't measured, or differ in more than their seed.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"--name {name}; expected letters, digits, dots, dashes and underscores")
    if evaluations and len(evaluations) != len(runs):
        raise ConfigError(f"{len(evaluations)} evaluations of {len(runs)} runs; expected one a run, in their order")
    check_same(runs)
    measured = list(evaluations) or [run / "evaluation" / split for run in runs]
    check_own(runs, measured)
    folder = root / name
    results = write_results(folder, measured, runs[0] / CONFIG)
    results |= {"name": name, "claim": claim, "split": split, "overrides": overrides(runs[0])}
    (folder / RESULTS).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    seeds_figure(results).savefig(folder / FIGURE)
    return Recorded(folder, results, not write_page(folder / PAGE, page(results, FIGURE)))


def check_same(runs: Sequence[Path]) -> None:
    """Raise DataError where runs differ in anything but their seed and their places."""
    settings = [{k: v for k, v in hyperparameters(saved_config(run)).items() if k != "seed"} for run in runs]
    for run, setting in zip(runs, settings, strict=True):
        differing = sorted(key for key in settings[0] | setting if settings[0].get(key) != setting.get(key))
        if differing:
            raise DataError(f"{run} differs from {runs[0]} in {', '.join(differing)}; expected another seed alone")


def check_own(runs: Sequence[Path], evaluations: Sequence[Path]) -> None:
    """Raise DataError where an evaluation is of another seed than the run it stands for."""
    for run, evaluation in zip(runs, evaluations, strict=True):
        seed, measured = saved_config(run).seed, read_metrics(evaluation)["provenance"].get("seed")
        if seed != measured:
            raise DataError(f"{evaluation} measured seed {measured}; expected {seed}, the seed of {run}")


def overrides(run: Path) -> list[str]:
    """What was typed after `python train.py`, without seed and key, and with bare names for absolute paths.

    Empty where the run doesn't say, as when it wasn't started from the command line.
    """
    path = run / OVERRIDES
    typed = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [ABSOLUTE.sub(r"=\1\2\1", one) for one in typed if not one.startswith(OWN)]


def write_page(path: Path, text: str) -> bool:
    """Write a page, unless a person wrote the one that is there. Returns whether it was written."""
    if path.is_file() and not path.read_text(encoding="utf-8").startswith(MARK):
        return False
    path.write_text(text, encoding="utf-8")
    return True
