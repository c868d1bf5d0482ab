"""The Lightning module: it wires model, losses and optimiser; all maths is in pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from radvit.models.share import ALONE, Share
from radvit.models.vit import RadiographViT
from radvit.training.means import Means
from radvit.training.mixing import MixSpec, mix
from radvit.training.optim import OptimSpec, make_optimizer, places
from radvit.training.ranks import gathered
from radvit.training.task_losses import Batch, task_losses, together
from radvit.training.val_metric import NAMES, Seen, seen, val_metric


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a step does beside the loss. seed: of the mixing. class_weights: see `radvit.training.class_weights`."""

    seed: int = 0
    mixing: MixSpec = field(default_factory=MixSpec)
    class_weights: Tensor | None = None


class RadiographModule(pl.LightningModule):
    """Training of one model. exclusive: classes exclude each other (softmax) rather than stand alone (sigmoid)."""

    def __init__(self, model: RadiographViT, optim: OptimSpec, exclusive: bool, recipe: Recipe | None = None) -> None:
        super().__init__()
        self.model = model
        self.optim = optim
        self.exclusive = exclusive
        self.recipe = recipe or Recipe()
        self.places = places(model)
        self.means = {"train": Means(), "val": Means()}
        self.seen: list[Seen] = []

    @property
    def metric(self) -> str:
        """The name under which the task's own metric on the validation split is logged."""
        return f"val/{NAMES[self.model.spec.task]}"

    def losses(self, batch: Batch, share: Share = ALONE) -> dict[str, Tensor]:
        """Named loss terms of a batch (see radvit.data.datamodule for its keys); `loss` is their weighted sum."""
        return self.terms(self.model(batch["image"]), batch, share)

    def terms(self, outputs: dict[str, Tensor], batch: Batch, share: Share = ALONE) -> dict[str, Tensor]:
        """The same from the model's outputs. share: how processes share the batch."""
        weights = self.recipe.class_weights
        return task_losses(self.model.spec, outputs, batch, self.optim, self.exclusive, weights, share)

    def training_step(self, batch: Batch, place: int) -> Tensor:
        """One batch; the loss terms' means over the epoch are logged with its last one."""
        terms = self.losses(self.mixed(batch, place), together())
        self.means["train"].add(terms, len(batch["image"]))
        if self.trainer.is_last_batch:
            self._log("train")
        return terms["loss"]

    def mixed(self, batch: Batch, place: int) -> Batch:
        """The batch with its images mixed; what is drawn depends on seed, epoch, place in it and process alone."""
        if self.recipe.mixing.off:
            return batch
        rng = np.random.default_rng([self.recipe.seed, self.current_epoch, place, self.global_rank])
        image, targets = mix(batch["image"], batch["targets"], self.recipe.mixing, rng)
        return {**batch, "image": image, "targets": targets}

    def on_validation_epoch_start(self) -> None:
        """Start anew: a run that is stopped in mid-validation validates again."""
        self.means["val"].load({})
        self.seen = []

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keep the loss terms, and what the task's metric needs."""
        outputs = self.model(batch["image"])
        self.means["val"].add(self.terms(outputs, batch, together()), len(batch["image"]))
        self.seen += seen(self.model.spec, self.exclusive, outputs, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the loss terms' means and the task's metric, over all processes."""
        images = [image for part in gathered(self.seen) for image in part]
        self.seen = []
        self._log("val")
        self.log(self.metric, val_metric(self.model.spec.task, images), prog_bar=True, rank_zero_only=False)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW and a schedule that moves on at every step of the optimiser."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = make_optimizer(self.model, self.optim, steps, self.places)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log(self, stage: str) -> None:
        means = {f"{stage}/{name}": value for name, value in self.means[stage].take().items()}
        self.log_dict(means, on_step=False, on_epoch=True, prog_bar=True, batch_size=1)
