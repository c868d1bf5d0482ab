"""A run as one trial of a sweep: whose it is, how its validations went, what came out, and who works on it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from radvit.errors import BusyError, DataError

TRIAL, VALIDATION, OUTCOME = "trial.json", "validation.json", "outcome.json"
LOCK = ".run.lock"
# What a sweep goes by where it names no objective: the first that a run measures. A minus: less is better.
OBJECTIVES = ("val/auroc", "val/cpm", "val/dice", "-val/loss")


@dataclass(frozen=True, slots=True)
class Pruner:
    """How trials that look poor are stopped early; epochs count from 1.

    kind: `median` (Vizier's median rule), `hyperband` (Li et al. 2018) or `none`. startup_trials: finished ones before
    the median rule speaks. min_epochs: no trial stops before. max_epochs: of a whole run, None where trials differ.
    """

    kind: str = "none"
    startup_trials: int = 5
    min_epochs: int = 1
    reduction_factor: int = 3
    max_epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run of a sweep must know. storage: SQLAlchemy URL of the study, asked only where the sweep prunes."""

    study: str
    storage: str
    number: int
    objective: str | None = None
    pruner: Pruner = Pruner()

    def save(self, folder: Path) -> None:
        """Write trial.json, which makes a run in this folder a trial."""
        write_json(folder / TRIAL, asdict(self))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended. value: the more, the better. metrics: of the weights that it left, after `epoch` epochs."""

    objective: str
    value: float
    epoch: int
    metrics: dict[str, float]
    pruned: bool = False

    def save(self, folder: Path) -> None:
        """Write outcome.json; from then on the trial is over, and isn't run again."""
        write_json(folder / OUTCOME, asdict(self))


def load_trial(folder: Path) -> Trial | None:
    """The trial that a run folder belongs to; None for a run outside of a sweep."""
    record = read_json(folder / TRIAL)
    if record is None:
        return None
    return Trial(**{**record, "pruner": Pruner(**record["pruner"])})


def load_outcome(folder: Path) -> Outcome | None:
    """How a trial ended; None where it hasn't."""
    record = read_json(folder / OUTCOME)
    return None if record is None else Outcome(**record)


def outcome_of(folder: Path, objective: str | None = None, pruned: bool = False) -> Outcome:
    """What the weights that a run left scored. Raises DataError where nothing was validated, or not the objective."""
    record = read_json(folder / VALIDATION)
    if record is None:
        raise DataError("no validation was made; expected images in the validation split")
    name, value = score(record["metrics"], objective)
    return Outcome(name, value, record["epoch"], record["metrics"], pruned)


def score(metrics: Mapping[str, float], objective: str | None = None) -> tuple[str, float]:
    """An objective's name and its value, signed so that more is better. objective: None for the first of OBJECTIVES.

    Raises DataError where the metrics lack it or it is no number.
    """
    names = OBJECTIVES if objective is None else (objective,)
    for name in names:
        value = metrics.get(name.removeprefix("-"))
        if value is not None and math.isfinite(value):
            return name, -value if name.startswith("-") else value
    raise DataError(f"objective {' or '.join(names)}: not measured, or no finite number; there is {', '.join(metrics)}")


@contextmanager
def alone(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Hold a folder for this process. The lock is the system's, so that it ends with the process, however that ends.

    Raises BusyError where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        raise BusyError(f"{folder}: another process is at work in this folder") from None
    try:
        yield
    finally:
        held.release()


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where there is no such file. Raises DataError where it holds anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{path}: no JSON object there ({type(error).__name__})") from error
    if not isinstance(record, dict):
        raise DataError(f"{path}: no JSON object there ({type(record).__name__})")
    return record


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    half.replace(path)
