"""attempt(): a training run whose result is a number, as one trial of a sweep or on its own."""

from __future__ import annotations

import logging
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import optuna
from pytorch_lightning.utilities import rank_zero_only

from radvit.bundle import load_bundle
from radvit.config import TrainConfig
from radvit.errors import BundleError, ConfigError
from radvit.run.folder import CONFIG, LAST
from radvit.run.task import train
from radvit.training import ranks
from radvit.trial import VALIDATION, Outcome, Trial, alone, load_outcome, load_trial, outcome_of

log = logging.getLogger(__name__)


def attempt(config: TrainConfig) -> float | None:
    """Train, and say how good the result is: the more, the better; None for a run that made no validation.

    A trial of a sweep goes on where it stopped, isn't run again once it is over, and never runs twice at a time.
    Raises ConfigError where the folder of a new run holds another one.
    """
    folder = Path(config.run_dir if config.resume is None or config.resume == "auto" else config.resume)
    trial = load_trial(folder)
    if trial is None:
        ranks.shared(lambda: _unused(config, folder))
        train(config)
        return outcome_of(folder).value if (folder / VALIDATION).is_file() else None
    with nullcontext() if getattr(rank_zero_only, "rank", 0) else alone(folder):
        outcome = load_outcome(folder)
        if outcome is None:
            outcome = ended(config, folder, trial)
            outcome.save(folder)
    return outcome.value


def _unused(config: TrainConfig, folder: Path) -> str:
    """Raise ConfigError where a new run would write over another one's results."""
    if config.resume is None and ranks.rank() == 0 and (folder / CONFIG).is_file():
        raise ConfigError(f"{folder} holds a run already; expected resume={folder} to go on with it, or another folder")
    return ""


def ended(config: TrainConfig, folder: Path, trial: Trial) -> Outcome:
    """Run a trial to its end, from where it stopped."""
    if not has_bundle(folder):
        if zipfile.is_zipfile(folder / LAST):
            log.info("trial %d goes on from %s", trial.number, folder / LAST)
            config = replace(config, resume=str(folder))
        try:
            train(config)
        except optuna.TrialPruned as pruned:
            log.info("%s", pruned)
            return outcome_of(folder, trial.objective, pruned=True)
    return outcome_of(folder, trial.objective)


def has_bundle(folder: Path) -> bool:
    """Whether a run got as far as its saved model, whole."""
    try:
        load_bundle(folder)
    except BundleError:
        return False
    return True
