"""Progress for people and for log files, and averaged weights."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, TQDMProgressBar, WeightAveraging
from torch import Tensor

log = logging.getLogger(__name__)

Tensors = tuple[Tensor, ...] | list[Tensor]


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
        told = {k: v for k, v in sorted(trainer.callback_metrics.items()) if "loss" in k or k == metric_of(pl_module)}
        values = ", ".join(f"{name} {float(value):.4f}" for name, value in told.items())
        log.info("epoch %d/%d: %s; %.1f s an epoch, %.0f s left", done, total, values, pace, pace * (total - done))


def metric_of(module: pl.LightningModule) -> str | None:
    """The name of the task's own metric on the validation split; None where there is none, as in pretraining."""
    return getattr(module, "metric", None)


def progress(refresh: int = 10) -> Callback:
    """A bar on a terminal, lines elsewhere."""
    return TQDMProgressBar(refresh_rate=refresh) if sys.stderr.isatty() else LineProgress()


class AveragedWeights(WeightAveraging):
    """Exponential moving average of weights and buffers over the steps; validated, and kept at the end.

    The average starts short and grows to 1 / (1 - decay) steps (as in TensorFlow's ExponentialMovingAverage), so that
    it holds nothing of the random start when a run is short.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=True, multi_avg_fn=averaging(decay))

    def weights(self, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The averaged weights, by their names in the module; they are what a validation sees."""
        names = pl_module.state_dict().keys()
        average = self._average_model.module if self._average_model is not None else pl_module
        return {name: value for name, value in average.state_dict().items() if name in names}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the model also where a run had no step left to train, only its end."""
        if self._average_model is not None:
            self._copy_average_to_current(pl_module)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """After every step."""
        return step_idx is not None


def averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Moves all averages towards the values of now, in one kernel a type; counts are taken as they are."""

    @torch.no_grad()
    def update(averages: Tensors, now: Tensors, count: Tensor | int) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, now, 1 - ramp(decay, count))
        else:
            torch._foreach_copy_(averages, now)

    return update


def ramp(decay: float, count: Tensor | int) -> float:
    """The decay of an average over `count` steps so far: (1 + count) / (10 + count), `decay` at most."""
    return min(decay, (1 + float(count)) / (10 + float(count)))
