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
# Where things lie is no hyperparameter, and may name what shouldn't leave this machine.
PLACES = ("run_dir", "resume", "logger", "data.path", "data.truth", "data.cache", "deid.key")


def make_loggers(config: Mapping[str, Mapping[str, Any]]) -> list[Logger]:
    """Lightning's loggers. Raises ConfigError where one can't be made, naming what to install where that is why."""
    made = []
    for name, given in config.items():
        database = str(given.get("tracking_uri", ""))
        if database.startswith(SQLITE):
            Path(database.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        try:
            made.append(hydra.utils.instantiate(given))
        except InstantiationException as error:
            cause = error.__cause__ or error
            if isinstance(cause, ModuleNotFoundError) and name in EXTRAS:
                raise ConfigError(f"logger={name} needs a package: pip install 'radvit[{name}]'") from error
            raise ConfigError(f"logger.{name}: {str(cause).splitlines()[0]}") from error
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
