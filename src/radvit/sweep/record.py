"""sweep.json: what a sweep is, so that the same command goes on with it and another one is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from radvit.errors import ConfigError
from radvit.sweep import ROOT
from radvit.sweep.space import Space
from radvit.trial import read_json, write_json

RECORD, DATABASE = "sweep.json", "study.db"
NAME = re.compile(r"[\w.-]+")
FREE = ("arguments",)  # what may differ when a sweep goes on


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """A sweep. storage: URL of a database, None for study.db beside this record. arguments: as typed at its start."""

    study: str
    storage: str | None
    sampler: str
    objective: str | None
    space: list[Any]
    arguments: list[str]

    def url(self, folder: Path) -> str:
        """Where the study is kept."""
        return self.storage or f"sqlite:///{folder.resolve() / DATABASE}"


def goes_on(folder: Path, record: SweepRecord) -> bool:
    """Whether this sweep was begun in a folder before.

    Raises ConfigError where the folder holds another sweep: their numbers don't belong together.
    """
    before = read_json(folder / RECORD)
    if before is None:
        return False
    now = asdict(record)
    differing = [key for key in now if key not in FREE and in_any_order(before.get(key)) != in_any_order(now[key])]
    if differing:
        where = "; ".join(f"{key} {json.dumps(before.get(key))}, not {json.dumps(now[key])}" for key in differing)
        raise ConfigError(f"{folder} holds a sweep with {where}; name a new one with hydra.sweeper.study=NAME")
    return True


def begin(folder: Path, record: SweepRecord) -> None:
    """Write sweep.json."""
    write_json(folder / RECORD, asdict(record))


def in_any_order(value: Any) -> Any:
    """A list's elements sorted: the order of arguments changes nothing."""
    return sorted(json.dumps(one, sort_keys=True) for one in value) if isinstance(value, list) else value


def name_of(folder: Path, study: str) -> str:
    """What `radvit sweep show` takes for a sweep: its name, or its folder where it lies elsewhere."""
    return study if folder.resolve() == (ROOT / study).resolve() else str(folder)


def load_record(folder: Path) -> SweepRecord:
    """The sweep in a folder. Raises ConfigError where there is none."""
    record = read_json(folder / RECORD)
    if record is None:
        raise ConfigError(f"{folder}: no {RECORD} there; expected the name or the folder of a sweep")
    try:
        return SweepRecord(**record)
    except TypeError as error:
        raise ConfigError(f"{folder / RECORD} is no record of a sweep: {error}") from error


def stable_name(name: str, space: Space, settings: Sequence[str]) -> str:
    """A sweep's name from what it does: the same command, its arguments in any order, gives the same name."""
    told = in_any_order(space.to_list())
    digest = hashlib.sha256("\n".join([*told, *settings]).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


def check_name(name: str) -> None:
    """Raise ConfigError where a name can't be that of a folder."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"hydra.sweeper.study={name}; expected letters, digits, dots, dashes and underscores")
