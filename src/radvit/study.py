"""Optuna's studies: opened by name at a URL, with the pruner that a sweep asks for."""

from __future__ import annotations

import importlib.util
import re

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from radvit.errors import ConfigError
from radvit.trial import Pruner

WAIT_S = 60.0  # how long a process waits for another's writing to SQLite
PASSWORD = re.compile(r"://[^/@:]*:[^/@]+@")


def open_storage(url: str) -> RDBStorage:
    """Where studies are kept. Raises ConfigError where the URL or its database can't be used.

    A password in the URL is refused, because run folders record the URL: PGPASSWORD or ~/.pgpass hold one.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if PASSWORD.search(url):
        raise ConfigError("hydra.sweeper.storage holds a password; expected it in PGPASSWORD or ~/.pgpass")
    connect: dict[str, float] = {"timeout": WAIT_S} if url.startswith("sqlite") else {}
    if url.startswith("postgresql://"):
        if importlib.util.find_spec("psycopg") is None:
            raise ConfigError("hydra.sweeper.storage=postgresql://...: no driver here; pip install 'radvit[postgres]'")
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        return RDBStorage(url, engine_kwargs={"connect_args": connect})
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"hydra.sweeper.storage={url}: can't be opened: {reason}") from error


def open_study(url: str, name: str, pruner: Pruner, sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """A study, made where there is none of that name. Values are signed so that more is better."""
    return optuna.create_study(
        storage=open_storage(url),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=make_pruner(pruner),
        sampler=sampler,
    )


def make_pruner(spec: Pruner) -> BasePruner:
    """Optuna's pruner. Raises ConfigError for a kind that isn't one."""
    if spec.kind == "none":
        return NopPruner()
    if spec.kind == "median":
        return MedianPruner(spec.startup_trials, n_warmup_steps=spec.min_epochs)
    if spec.kind == "hyperband":
        longest = "auto" if spec.max_epochs is None else spec.max_epochs
        return HyperbandPruner(spec.min_epochs, longest, spec.reduction_factor)
    raise ConfigError(f"hydra.sweeper.pruner={spec.kind}; expected none, median or hyperband")
