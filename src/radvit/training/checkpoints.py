"""Checkpoints from which a run goes on bit for bit, and the signals that ask for one.

A checkpoint is written only between two steps of the optimiser and never right before a validation, where Lightning's
loops can be taken up again: gradients that have been accumulated, and a half-finished validation, are in no checkpoint.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from radvit.errors import StoppedError
from radvit.training.means import Means
from radvit.training.ranks import gathered

log = logging.getLogger(__name__)

LAST, BEST = "last.ckpt", "best.ckpt"
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # the last is submitit's, before a job's time is up


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside the one that is there, and puts it in its place once it is whole and on the disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Save; a process that is killed meanwhile leaves the earlier checkpoint as it was."""
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        part = final.with_name(f".{final.name}.part")
        with part.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(final)
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a checkpoint is written beside the one at each epoch's end; None for not at all."""

    steps: int | None = None
    minutes: float | None = None


class Checkpoints(Checkpoint):
    """Writes last.ckpt to go on from, and best.ckpt, the weights with the best metric on the validation split.

    metric: its name in the logs, the larger, the better; None for no best one; best.ckpt holds all metrics beside the
    weights. weights: gives the weights that were validated. means: running sums to be kept. At SIGTERM, SIGUSR2 and
    SIGINT the run ends after its step, with a checkpoint; a second SIGINT ends it at once.
    """

    def __init__(
        self, folder: Path, rhythm: Rhythm, metric: str | None, weights: Callable[[], dict[str, Any]], means: Means
    ) -> None:
        self.folder = folder
        self.rhythm = rhythm
        self.metric = metric
        self.weights = weights
        self.means = means
        self.best: float | None = None
        self.asked: int | None = None
        self.saved_at = time.monotonic()
        self.pending: dict[str, Any] | None = None
        self.handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to signals (Lightning has set its own handlers before), and look at the clock."""
        self.saved_at = time.monotonic()
        for number in STOPS if threading.current_thread() is threading.main_thread() else ():
            self.handlers[number] = signal.signal(number, self.stop)

    def stop(self, number: int, _: FrameType | None) -> None:
        """Remember a signal; the second SIGINT does what it does elsewhere."""
        if number == signal.SIGINT and self.asked == number:
            raise KeyboardInterrupt
        self.asked = number
        log.info("%s: ending after this step, with a checkpoint", signal.Signals(number).name)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, place: int) -> None:
        """Set the random generators to where they were, as late as can be: setting up draws from them too."""
        if self.pending is not None:
            restore_generators(self.pending)
            self.pending = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, place: int
    ) -> None:
        """Write a checkpoint where one is due or asked for, if this is a place to go on from."""
        if (
            (place + 1) % trainer.accumulate_grad_batches != 0
            or trainer.is_last_batch
            or validates_next(trainer, place)
        ):
            return
        steps, minutes = self.rhythm.steps, self.rhythm.minutes
        due = steps is not None and trainer.global_step % steps == 0
        due |= minutes is not None and time.monotonic() - self.saved_at >= 60 * minutes
        due, asked = agreed(trainer, due, self.asked)
        if due or asked is not None:
            self.save(trainer)
        self.leave(asked)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        if self.metric is None or trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics.get(self.metric, float("nan")))
        if not value > (float("-inf") if self.best is None else self.best):
            return
        self.best = value
        record = {"state_dict": self.weights(), "epoch": trainer.current_epoch, **validation_metrics(trainer)}
        if trainer.is_global_zero:
            trainer.strategy.checkpoint_io.save_checkpoint(record, self.folder / BEST)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a checkpoint, the validation included."""
        _, asked = agreed(trainer, True, self.asked)
        self.save(trainer)
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self.leave(None if last else asked)

    def save(self, trainer: pl.Trainer) -> None:
        """Write last.ckpt."""
        trainer.save_checkpoint(self.folder / LAST)
        self.saved_at = time.monotonic()

    def leave(self, asked: int | None) -> None:
        """Raise StoppedError where a signal asked for it."""
        if asked is not None:
            raise StoppedError(f"{signal.Signals(asked).name}: saved {self.folder / LAST}", 128 + asked)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave signals to whom they belonged."""
        self._unlisten()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave signals to whom they belonged."""
        self._unlisten()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what belongs to each process: its random generators and its part of the epoch's means."""
        own = {"generators": generators(), "means": self.means.state()}
        checkpoint["processes"] = gathered(own)
        checkpoint["best"], checkpoint["stopped"] = self.best, trainer.should_stop

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take it up again. Another number of processes than before finds other batches; its generators start anew."""
        processes = checkpoint.get("processes", [])
        if len(processes) == trainer.world_size:
            own = processes[trainer.global_rank]
            self.pending = own["generators"]
            self.means.load(own["means"])
        self.best = checkpoint.get("best")
        trainer.should_stop = bool(checkpoint.get("stopped", False))

    def _unlisten(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}


def validation_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """What the last validation measured, by name."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}


def validates_next(trainer: pl.Trainer, place: int) -> bool:
    """Whether a validation within the epoch may follow a batch."""
    batches = place if trainer.check_val_every_n_epoch is not None else trainer.fit_loop.total_batch_idx
    return trainer.val_check_batch is None or (batches + 1) % trainer.val_check_batch == 0


def agreed(trainer: pl.Trainer, due: bool, asked: int | None) -> tuple[bool, int | None]:
    """Whether a checkpoint is due and which signal came, in any of the processes; they must all do the same."""
    if trainer.world_size == 1:
        return due, asked
    told = torch.tensor([int(due), asked or 0], device=trainer.strategy.root_device)
    torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
    any_due, signalled = told.tolist()
    return bool(any_due), signalled or None


def generators() -> dict[str, Any]:
    """The states of every global random generator, in types that torch.load takes without pickle."""
    version, inner, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - others may use it
    return {
        "python": [version, list(inner), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Set every global random generator to a state."""
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
