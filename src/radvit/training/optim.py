"""AdamW with layer-wise rates, warm-up and cosine decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from radvit.models.backbone import UNDECAYED, layer_of

BACKBONE = "backbone."


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """How weights are learned.

    lr: peak rate. warmup: part of all steps with a rising rate. layer_decay: factor on the rate per block towards the
    input (Clark et al. 2020, ELECTRA; Bao et al. 2021, BEiT). box_weight: weight of the box loss beside the score loss.
    """

    lr: float
    weight_decay: float = 0.05
    warmup: float = 0.05
    layer_decay: float = 1.0
    box_weight: float = 1.0
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0


def depth_of(name: str, blocks: int) -> int:
    """Distance of a weight from the head, in blocks: 0 for the head, 1 for the last block, blocks + 1 for the stem."""
    if not name.startswith(BACKBONE):
        return 0
    layer = layer_of(name.removeprefix(BACKBONE))
    return 1 if layer is None else blocks - layer


def parameter_groups(model: nn.Module, spec: OptimSpec) -> list[dict[str, Any]]:
    """Groups by rate and decay: vectors (norms, biases, tokens) and position embeddings are not decayed."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    layers = (layer_of(name.removeprefix(BACKBONE)) for name, _ in named if name.startswith(BACKBONE))
    blocks = 1 + max((layer for layer in layers if layer is not None), default=-1)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in named:
        depth = depth_of(name, blocks)
        decayed = parameter.ndim > 1 and not name.endswith(UNDECAYED)
        rate, decay = spec.lr * spec.layer_decay**depth, spec.weight_decay if decayed else 0.0
        group = groups.setdefault((depth, decayed), {"params": [], "lr": rate, "weight_decay": decay})
        group["params"].append(parameter)
    return list(groups.values())


def warmup_cosine(step: int, total: int, warmup: float) -> float:
    """Factor on the rate: a linear rise over warmup * total steps, then half a cosine down to 0."""
    rise = max(1, round(warmup * total))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))


def make_optimizer(model: nn.Module, spec: OptimSpec, total_steps: int) -> tuple[AdamW, LambdaLR]:
    """The optimiser and the schedule of its rate, to be stepped once a batch."""
    optimizer = AdamW(parameter_groups(model, spec), betas=(0.9, 0.98))
    return optimizer, LambdaLR(optimizer, lambda step: warmup_cosine(step, total_steps, spec.warmup))
