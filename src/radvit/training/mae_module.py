"""The Lightning module of pretraining: it wires the masked autoencoder, its loss and the optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from radvit.models.mae import MaskedAutoencoder, drawing_loss
from radvit.training.optim import OptimSpec, make_optimizer

Batch = dict[str, Any]


class MaeModule(pl.LightningModule):
    """Pretraining of one backbone. seed: of what is hidden, which depends on it, the epoch, the batch and the device.

    Validation hides the same patches in every epoch, so that its curve shows the model alone.
    """

    def __init__(self, model: MaskedAutoencoder, optim: OptimSpec, seed: int) -> None:
        super().__init__()
        self.model = model
        self.optim = optim
        self.seed = seed

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """One step; logs the loss."""
        return self._loss("train", batch, [self.seed, 1 + self.current_epoch, index, self.global_rank])

    def validation_step(self, batch: Batch, index: int) -> None:
        """Logs the loss on the validation split."""
        self._loss("val", batch, [self.seed, 0, index, self.global_rank])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW and a schedule stepped every batch."""
        optimizer, schedule = make_optimizer(self.model, self.optim, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def losses(self, batch: Batch, seeds: Sequence[int] = (0,)) -> dict[str, Tensor]:
        """The loss of a batch, `loss`; seeds: of what is hidden."""
        return {"loss": drawing_loss(self.model(batch["image"], generator_of(seeds)))}

    def _loss(self, stage: str, batch: Batch, seeds: Sequence[int]) -> Tensor:
        loss = self.losses(batch, seeds)["loss"]
        size = len(batch["image"])
        shown = {"on_step": False, "on_epoch": True, "prog_bar": True}
        self.log(f"{stage}/loss", loss.detach(), batch_size=size, sync_dist=True, **shown)  # type: ignore[arg-type]
        return loss


def generator_of(seeds: Sequence[int]) -> torch.Generator:
    """A generator on the CPU that depends on all of some numbers."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
