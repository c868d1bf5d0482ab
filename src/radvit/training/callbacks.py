"""Progress for people and for log files."""

from __future__ import annotations

import logging
import sys
import time

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, TQDMProgressBar

log = logging.getLogger(__name__)


class LineProgress(Callback):
    """One log line an epoch, with rate and time left: for runs that are not on a terminal."""

    def __init__(self) -> None:
        self.started = 0.0
        self.first_epoch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started, self.first_epoch = time.monotonic(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how far training is."""
        done = trainer.current_epoch + 1
        total = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else done
        pace = (time.monotonic() - self.started) / (done - self.first_epoch)
        losses = ", ".join(f"{k} {float(v):.4f}" for k, v in sorted(trainer.callback_metrics.items()) if "loss" in k)
        log.info("epoch %d/%d: %s; %.1f s an epoch, %.0f s left", done, total, losses, pace, pace * (total - done))


def progress(refresh: int = 10) -> Callback:
    """A bar on a terminal, lines elsewhere."""
    return TQDMProgressBar(refresh_rate=refresh) if sys.stderr.isatty() else LineProgress()
