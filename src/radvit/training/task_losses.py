"""The loss of each task, from a model's outputs and a batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from radvit.models.detectors import DetectorKind
from radvit.models.location_losses import centreness_loss, set_loss
from radvit.models.losses import classification_loss, detection_loss
from radvit.models.mask_loss import segmentation_loss
from radvit.models.share import ALONE, Share
from radvit.models.sliding import window_loss, window_targets
from radvit.models.spec import ModelSpec
from radvit.records import Task
from radvit.training.class_weights import weighted_loss
from radvit.training.optim import OptimSpec

Batch = dict[str, Any]
DETECTION = {
    DetectorKind.HEAT: detection_loss,
    DetectorKind.CENTRENESS: centreness_loss,
    DetectorKind.SET: set_loss,
}


def task_losses(
    spec: ModelSpec,
    outputs: dict[str, Tensor],
    batch: Batch,
    optim: OptimSpec,
    exclusive: bool,
    class_weights: Tensor | None = None,
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """Named loss terms of a batch (see radvit.data.datamodule for its keys); `loss` is their weighted sum.

    class_weights: of classification, see `radvit.training.class_weights`. share: how processes share the batch.
    """
    if spec.task is Task.CLASSIFY:
        logits, args = outputs["logits"], (exclusive, optim.label_smoothing, optim.focal_gamma)
        if class_weights is None:
            return {"loss": classification_loss(logits, batch["targets"], *args)}
        return {"loss": weighted_loss(logits, batch["targets"], class_weights.to(logits.device), *args)}
    if spec.task is Task.SEGMENT:
        terms = segmentation_loss(outputs[f"mask_{spec.strides[0]}"], batch["mask"], share)
        return {**terms, "loss": terms["dice"] + terms["ce"]}
    if spec.window is not None:
        size = batch["image"].shape[-1]
        targets = window_targets(batch["boxes"], batch["labels"], size, spec.classes, spec.window)
        return {"loss": window_loss(outputs["windows"], targets, optim.label_smoothing, optim.focal_gamma)}
    terms = DETECTION[spec.detector](outputs, batch["boxes"], batch["labels"], spec.strides, share)
    others = torch.stack([term for name, term in terms.items() if name != "box"]).sum()
    return {**terms, "loss": others + optim.box_weight * terms["box"]}


def together() -> Share:
    """How the processes of this run share a batch; all of them must ask for its total at the same point."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return ALONE
    return Share(dist.get_world_size(), summed)


def summed(mine: Tensor) -> Tensor:
    """The sum of a tensor over all processes."""
    total = mine.clone()
    dist.all_reduce(total)
    return total
