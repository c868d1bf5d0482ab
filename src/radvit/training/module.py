"""The Lightning module: it wires model, losses and optimiser; all maths is in pure functions."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from radvit.models.vit import RadiographViT
from radvit.training.optim import OptimSpec, make_optimizer
from radvit.training.task_losses import Batch, task_losses


class RadiographModule(pl.LightningModule):
    """Training of one model. exclusive: classes exclude each other (softmax) rather than stand alone (sigmoid)."""

    def __init__(self, model: RadiographViT, optim: OptimSpec, exclusive: bool) -> None:
        super().__init__()
        self.model = model
        self.optim = optim
        self.exclusive = exclusive

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named loss terms of a batch (see radvit.data.datamodule for its keys); `loss` is their weighted sum."""
        return task_losses(self.model.spec, self.model(batch["image"]), batch, self.optim, self.exclusive)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step; logs each loss term."""
        terms = self.losses(batch)
        self._log("train", terms, batch)
        return terms["loss"]

    def validation_step(self, batch: Batch, _: int) -> None:
        """Logs the loss terms on the validation split."""
        self._log("val", self.losses(batch), batch)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW and a schedule stepped every batch."""
        optimizer, schedule = make_optimizer(self.model, self.optim, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log(self, stage: str, terms: dict[str, Tensor], batch: Batch) -> None:
        self.log_dict(
            {f"{stage}/{name}": value.detach() for name, value in terms.items()},
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(batch["image"]),
            sync_dist=True,
        )
