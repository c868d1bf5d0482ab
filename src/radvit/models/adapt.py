"""How much of a backbone is trained: all of it, nothing (linear probe), or low-rank additions to its layers (LoRA)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torch import nn

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone


class Adapt(Enum):
    """What of a model is trained beside its head."""

    FULL = "full"
    LINEAR = "linear"
    LORA = "lora"


class Target(Enum):
    """Which linear layers of a block get low-rank additions."""

    ATTENTION = "attention"
    MLP = "mlp"


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """Low-rank adaptation (Hu et al. 2022): W x + alpha / rank * B A x, with A and B trained alone."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[Target, ...] = (Target.ATTENTION,)


def adapt(backbone: Backbone, how: Adapt, lora: LoraSpec) -> None:
    """Freeze the backbone, whole or but for low-rank additions; FULL leaves it as it is.

    A part without trainable weights stays in evaluation mode from then on (see Backbone.train).
    Raises ConfigError where no layer is there to add to.
    """
    if how is Adapt.FULL:
        return
    backbone.requires_grad_(False)
    if how is Adapt.LORA:
        from peft import LoraConfig, inject_adapter_in_model  # takes seconds to load

        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it only
            lora_dropout=lora.dropout,
            target_modules=linear_layers(backbone, lora.targets),
        )
        inject_adapter_in_model(config, backbone.vit)
    backbone.train(backbone.training)


def linear_layers(backbone: Backbone, targets: tuple[Target, ...]) -> list[str]:
    """Paths in `backbone.vit` of the linear layers of its blocks that are of the kinds asked for."""
    inside = {id(module) for module in backbone.adapter.blocks.modules()}
    paths = [p for p, m in backbone.vit.named_modules() if isinstance(m, nn.Linear) and id(m) in inside]
    chosen = [path for path in paths if kind_of(path) in targets]
    if not chosen:
        raise ConfigError(f"model.lora.targets={[t.value for t in targets]}: {backbone.spec.name} has no such layers")
    return chosen


def kind_of(path: str) -> Target:
    """Whether a linear layer of a block belongs to its attention or to its MLP, which is all else there is."""
    return Target.ATTENTION if "attn." in path or "attention." in path else Target.MLP


def merge(backbone: Backbone) -> None:
    """Add low-rank additions to the weights that they change, and leave plain layers; does nothing without any."""
    if not hasattr(backbone.vit, "peft_config"):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    for parent in list(backbone.vit.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BaseTunerLayer):
                child.merge()
                setattr(parent, name, child.get_base_layer())
    del backbone.vit.peft_config
