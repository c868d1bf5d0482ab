"""A bare PyTorch loop that takes its steps between those of a Lightning trainer, so that both see the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel

from radvit.data.datamodule import Batch
from radvit.models.vit import RadiographViT
from radvit.training.callbacks import averaging
from radvit.training.module import RadiographModule
from radvit.training.optim import OptimSpec, make_optimizer

Moment = tuple[float, float]
Rivals = Callable[[pl.LightningModule], Sequence[Callable[[], object]]]


class BareLoop:
    """What one writes without a trainer: loss, AdamW with its schedule, clipping and averaged weights, and no more.

    low: autocast to bfloat16. Raises what PyTorch raises.
    """

    def __init__(
        self, model: RadiographViT, optim: OptimSpec, exclusive: bool, steps: int, decay: float, clip: float, low: bool
    ) -> None:
        self.maths = RadiographModule(model, optim, exclusive).train()
        self.optimizer, self.schedule = make_optimizer(model, optim, steps)
        self.parameters = list(model.parameters())
        self.average = AveragedModel(model, multi_avg_fn=averaging(decay), use_buffers=False) if decay > 0 else None
        self.model, self.clip, self.low = model, clip, low

    def step(self, batch: Batch) -> Tensor:
        """Learn from a batch that is on the model's device. Returns the loss."""
        device = batch["image"].device.type
        self.optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16) if self.low else nullcontext():
            loss = self.maths.losses(batch)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        if self.clip > 0:
            clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss.detach()


class Beside(Callback):
    """After each step of the trainer, times one call of each rival.

    rivals: makes them, from the module whose training begins. times: a row for each trainer's step after the first: the
    whole time from the rivals' end to the next end of a step (loading, hooks, logging, progress), then the rivals'
    times; each as (seconds, of which this process had a processor). boundary: whether an epoch ended within that step,
    with all that happens then.
    """

    def __init__(self, rivals: Rivals) -> None:
        self._make = rivals
        self._rivals: Sequence[Callable[[], object]] = ()
        self._since: Moment | None = None
        self.times: list[list[Moment]] = []
        self.boundary: list[bool] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the rivals."""
        self._rivals = self._make(pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the trainer's time, then take the rivals' steps."""
        now = clock(pl_module.device)
        row = []
        for rival in self._rivals:
            started = clock(pl_module.device)
            rival()
            row.append(passed(started, clock(pl_module.device)))
        if self._since is not None:
            self.times.append([passed(self._since, now), *row])
            self.boundary.append(batch_idx == 0)
        self._since = clock(pl_module.device)


def clock(device: torch.device) -> Moment:
    """Seconds, and those of processors' work for this process, once the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()


def passed(start: Moment, end: Moment) -> Moment:
    """The time between two moments."""
    return end[0] - start[0], end[1] - start[1]


def twin(model: RadiographViT) -> RadiographViT:
    """A model with the same weights that shares none of them."""
    return deepcopy(model)


def endless(loader: Any, sampler_of: Callable[[int], None]) -> Iterator[Batch]:
    """Batches of a loader, epoch after epoch. sampler_of: told the number of each."""
    epoch = 0
    while True:
        sampler_of(epoch)
        yield from loader
        epoch += 1
