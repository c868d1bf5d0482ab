"""Where the numbers of a run are logged, and the hyperparameters logged beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from pytorch_lightning.loggers import Logger

from radvit.config import TrainConfig
from radvit.errors import ConfigError

EXTRAS = ("mlflow",)  # loggers whose package an extra of radvit brings
SQLITE = "sqlite:///"
RUN_OF = {"WandbLogger": "id", "MLFlowLogger": "run_id"}  # the argument that names a tracker's run
# Where things lie is no hyperparameter, and may name what shouldn't leave this machine.
PLACES = ("run_dir", "resume", "logger", "data.path", "data.truth", "data.cache", "deid.key")


def logger(name: str, given: Mapping[str, Any], known: str | None = None) -> Logger:
    """One of Lightning's loggers. known: the run of its tracker to go on with, unless the configuration names one.

    Raises ConfigError where it can't be made, naming what to install where that is why.
    """
    database = str(given.get("tracking_uri", ""))
    if database.startswith(SQLITE):
        Path(database.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    argument = RUN_OF.get(str(given.get("_target_")).rpartition(".")[2])
    going_on = {} if argument is None or known is None else {argument: known}
    try:
        made = hydra.utils.instantiate({**going_on, **given})
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, ModuleNotFoundError) and name in EXTRAS:
            raise ConfigError(f"logger={name} needs a package: pip install 'radvit[{name}]'") from error
        raise ConfigError(f"logger.{name}: {str(cause).splitlines()[0]}") from error
    if not isinstance(made, Logger):
        raise ConfigError(f"logger.{name}._target_ made a {type(made).__name__}; expected a logger of Lightning's")
    return made


def hyperparameters(config: TrainConfig) -> dict[str, Any]:
    """The configuration of a run as loggers take it: flat, keys joined by dots, without places."""
    return {
        key: value
        for key, value in flattened(asdict(config))
        if not any(key == place or key.startswith(f"{place}.") for place in PLACES)
    }


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values of nested mappings; lists as they are written, enumerations by their names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        elif isinstance(value, Enum):
            yield f"{prefix}{name}", value.name
        else:
            yield f"{prefix}{name}", str(value) if isinstance(value, list) else value
