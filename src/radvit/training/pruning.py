"""What a sweep hears of a run while it trains, and whether the run is worth going on with."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from radvit.errors import ConfigError
from radvit.plural import counted
from radvit.study import open_study, reached
from radvit.training.checkpoints import validation_metrics
from radvit.trial import VALIDATION, Trial, load_trial, score, write_json

log = logging.getLogger(__name__)


class Validations(Callback):
    """Writes the metrics of each validation to validation.json; in a sweep that prunes, stops a run that looks poor.

    The last epoch ends with a validation, however often there is one, so that the last weights have been measured.
    Raises optuna.TrialPruned out of Lightning's loop, in every process of a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trial = load_trial(folder)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget what another run said in this folder."""
        if trainer.ckpt_path is None and trainer.is_global_zero:
            (self.folder / VALIDATION).unlink(missing_ok=True)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, place: int) -> None:
        """See to it that the last epoch is validated, also where a run goes on in the middle of it."""
        if trainer.check_val_every_n_epoch is not None and trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write, report, and ask."""
        if trainer.sanity_checking:
            return
        epoch = trainer.current_epoch + 1
        metrics = validation_metrics(trainer)
        stop = False
        if trainer.is_global_zero:
            write_json(self.folder / VALIDATION, {"epoch": epoch, "metrics": metrics})
            if self.trial and self.trial.pruner.kind != "none":
                stop = poor(self.trial, epoch, score(metrics, self.trial.objective)[1])
        if trainer.strategy.broadcast(stop):
            raise optuna.TrialPruned(f"trial pruned after {counted(epoch, 'epoch')}")


def poor(trial: Trial, epoch: int, value: float) -> bool:
    """Report a value to a trial's study; whether the study's pruner would stop here.

    A run isn't lost where the study's database doesn't answer: it goes on, and a warning says so.
    """
    try:
        with reached():
            return judged(trial, epoch, value)
    except ConfigError as error:
        log.warning("trial %d isn't compared with others after epoch %d: %s", trial.number, epoch, error)
        return False


def judged(trial: Trial, epoch: int, value: float) -> bool:
    """The same, with errors left to the caller."""
    study = open_study(trial.storage, trial.study, trial.pruner)
    asked = optuna.trial.Trial(study, study.get_trials(deepcopy=False)[trial.number]._trial_id)
    if epoch not in study.get_trials(deepcopy=False)[trial.number].intermediate_values:  # else said before a resume
        asked.report(value, epoch)
    return asked.should_prune()
