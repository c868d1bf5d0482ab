"""The loss of each task, from a model's outputs and a batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from radvit.models.losses import classification_loss, detection_loss
from radvit.models.mask_loss import segmentation_loss
from radvit.models.vit import ModelSpec
from radvit.records import Task
from radvit.training.optim import OptimSpec

Batch = dict[str, Any]


def task_losses(
    spec: ModelSpec, outputs: dict[str, Tensor], batch: Batch, optim: OptimSpec, exclusive: bool
) -> dict[str, Tensor]:
    """Named loss terms of a batch (see radvit.data.datamodule for its keys); `loss` is their weighted sum."""
    if spec.task is Task.CLASSIFY:
        args = (exclusive, optim.label_smoothing, optim.focal_gamma)
        return {"loss": classification_loss(outputs["logits"], batch["targets"], *args)}
    if spec.task is Task.SEGMENT:
        terms = segmentation_loss(outputs[f"mask_{spec.strides[0]}"], batch["mask"])
        return {**terms, "loss": terms["dice"] + terms["ce"]}
    terms = detection_loss(outputs, batch["boxes"], batch["labels"], spec.strides)
    return {**terms, "loss": terms["score"] + optim.box_weight * terms["box"]}
