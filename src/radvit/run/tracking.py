"""The loggers of a run, opened; one that goes on logs into the same run of its tracker (wandb, MLflow) as before."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, MLFlowLogger, WandbLogger

from radvit import assemble
from radvit.config import TrainConfig
from radvit.errors import ConfigError, DataError
from radvit.training import ranks
from radvit.trial import read_json, write_json

log = logging.getLogger(__name__)

RECORD = "tracking.json"


@contextmanager
def tracked(config: TrainConfig, folder: Path) -> Iterator[list[Logger]]:
    """The loggers of a run, with its hyperparameters, until it ends.

    Which runs of trackers they log into is kept in tracking.json. Raises ConfigError where a logger can't be made.
    """
    known = known_runs(folder) if config.resume and ranks.rank() == 0 else {}
    loggers: dict[str, Logger] = {}
    try:
        for name, given in config.logger.items():
            loggers[name] = opened(name, given, known.get(name))
            if not (isinstance(loggers[name], MLFlowLogger) and loggers[name].version == known.get(name)):
                loggers[name].log_hyperparams(assemble.hyperparameters(config))  # MLflow has them, and takes no other
        if ranks.rank() == 0:
            remember_runs(folder, loggers, known)
        yield list(loggers.values())
    finally:
        for logger in loggers.values():
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()  # else the next run of a sweep would go on in this one's


def opened(name: str, given: Mapping[str, Any], known: str | None) -> Logger:
    """A logger whose tracker has answered. known: the tracker's run to go on with; where it is gone, a new one begins.

    Raises ConfigError with what a tracker said that won't begin a run.
    """
    logger = assemble.logger(name, given, known)
    if ranks.rank() > 0 or not isinstance(logger, WandbLogger | MLFlowLogger):
        return logger
    try:
        enter(logger, known)
    except Exception as error:  # each tracker and each of its stores has errors of its own
        said = next(iter(str(error).splitlines()), type(error).__name__)
        if known is None:
            raise ConfigError(f"logger.{name}: {said}") from error
        log.warning("logger.%s can't go on with run %s, a new one begins: %s", name, known, said)
        return opened(name, given, None)
    if known is not None and logger.version == known:
        log.info("logger.%s goes on with run %s", name, known)
    return logger


def enter(logger: WandbLogger | MLFlowLogger, known: str | None) -> None:
    """Begin a tracker's run, or go on with one. Raises whatever the tracker raises where it can't."""
    run = logger.experiment  # asking for it opens it
    if isinstance(logger, MLFlowLogger) and logger.version == known:
        if run.get_run(known).info.lifecycle_stage != "active":
            raise DataError("it was deleted")
        run.update_run(known, status="RUNNING")


def known_runs(folder: Path) -> dict[str, str]:
    """The trackers' runs that a run folder logs into; none for a copy, whose original may go on with them.

    Raises DataError where the record can't be read.
    """
    runs, home = recorded(folder / RECORD)
    original = home / RECORD
    if not runs or not original.is_file() or original.samefile(folder / RECORD):
        return runs
    if recorded(original)[0] != runs:  # it was moved, and another run lies where it was
        return runs
    log.warning("%s is a copy of %s: its loggers begin new runs", folder, home)
    return {}


def recorded(path: Path) -> tuple[dict[str, str], Path]:
    """What a record says: the run of each tracker, and the folder it was written in; nothing where there is none."""
    record = read_json(path)
    if record is None:
        return {}, path.parent
    try:
        return {str(name): str(run) for name, run in record["runs"].items()}, Path(record["folder"])
    except (KeyError, AttributeError, TypeError) as error:
        raise DataError(f'{path}: expected "folder" and "runs", a name each') from error


def remember_runs(folder: Path, loggers: Mapping[str, Logger], known: Mapping[str, str]) -> None:
    """Write down which runs of trackers are logged into. What is turned off (WANDB_MODE=disabled) stays as it was."""
    runs = dict(known)
    for name, logger in loggers.items():
        if isinstance(logger, MLFlowLogger) or (isinstance(logger, WandbLogger) and not logger.experiment.disabled):
            runs[name] = str(logger.version)
    if runs:
        write_json(folder / RECORD, {"folder": str(folder.resolve()), "runs": runs})
    else:
        (folder / RECORD).unlink(missing_ok=True)
