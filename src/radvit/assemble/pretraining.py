"""What pretraining takes."""

from __future__ import annotations

from pathlib import Path

import torch

from radvit.assemble.models import backbone_spec
from radvit.assemble.weights import weights_at
from radvit.config import AdaptName, MaeConfig, ModelConfig
from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, Normalisation
from radvit.models.mae import MaeSpec, MaskedAutoencoder


def autoencoder(
    config: ModelConfig, decoder: MaeConfig, image_size: int, normalise: Normalisation | None = None
) -> MaskedAutoencoder:
    """The masked autoencoder around a backbone; its encoder may start from weights as any model's.

    normalise: mean and deviation of its inputs, which the first weights are adapted to. Raises ConfigError where only a
    part of the backbone would be trained: there is no head to train instead.
    """
    if config.adapt is not AdaptName.full:
        raise ConfigError(f"model.adapt={config.adapt.value} with model.task=mae; expected full")
    spec = backbone_spec(config, image_size)
    backbone = Backbone(spec, config.pretrained, normalise)
    if config.weights is not None:
        backbone.load(weights_at(Path(config.weights), backbone), normalise)
    if config.checkpointing:
        backbone.adapter.checkpoint()
    settings = MaeSpec(decoder.mask, decoder.width, decoder.depth, decoder.num_heads, decoder.normalise)
    built = MaskedAutoencoder(backbone, image_size, spec.channels, settings)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
