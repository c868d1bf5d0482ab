"""Optuna's studies: opened by name at a URL, with the pruner that a sweep asks for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from radvit.errors import ConfigError
from radvit.trial import Pruner

WAIT_S = 60.0  # how long a process waits for another's writing to SQLite
CONNECT_S = 30  # how long one waits for a database server to answer
SECRETS = ("password", "sslpassword")


def parse_url(url: str) -> URL:
    """A database's URL. Raises ConfigError where it is none, or holds a password: run folders record the URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # its text is not repeated: what doesn't parse may hold a password
        raise ConfigError("hydra.sweeper.storage is no URL; expected postgresql://USER@HOST/DATABASE") from None
    if parsed.password is not None or any(key in parsed.query for key in SECRETS):
        raise ConfigError("hydra.sweeper.storage holds a password; expected it in PGPASSWORD or ~/.pgpass")
    return parsed


def open_storage(url: str) -> RDBStorage:
    """Where studies are kept. Raises ConfigError where the URL or its database can't be used."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parsed, driven = parse_url(url), url
    options: dict[str, Any] = {"connect_args": {}}
    if parsed.drivername == "postgresql":
        if importlib.util.find_spec("psycopg") is None:
            raise ConfigError("hydra.sweeper.storage=postgresql://...: no driver here; pip install 'radvit[postgres]'")
        # A run may not ask for hours, after which the server or a firewall has closed the connection: look before use.
        limit = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_S}
        options = {"connect_args": limit, "pool_pre_ping": True}
        driven = url.replace("postgresql://", "postgresql+psycopg://", 1)
    elif parsed.drivername == "sqlite":
        options = {"connect_args": {"timeout": WAIT_S}}
    try:
        return RDBStorage(driven, engine_kwargs=options)
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        raise ConfigError(f"hydra.sweeper.storage={url}: can't be opened: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Why a database fails, in a line: what lies below Optuna's own error says it."""
    below = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    return str(below).strip().partition("\n")[0]


@contextmanager
def reached() -> Iterator[None]:
    """Raise ConfigError where the database of an open study no longer answers."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        told = "the sweep's database no longer answers"
        raise ConfigError(f"{told}: {reason_of(error)}; the same command goes on once it does") from error


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
