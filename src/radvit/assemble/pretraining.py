"""What pretraining takes."""

from __future__ import annotations

from pathlib import Path

import torch

from radvit.assemble.models import backbone_spec
from radvit.config import MaeConfig, ModelConfig
from radvit.models.backbone import Backbone
from radvit.models.mae import MaeSpec, MaskedAutoencoder
from radvit.models.weights import load_backbone


def autoencoder(config: ModelConfig, decoder: MaeConfig, image_size: int) -> MaskedAutoencoder:
    """The masked autoencoder around a backbone; its encoder may start from weights as any model's."""
    spec = backbone_spec(config, image_size)
    backbone = Backbone(spec, config.pretrained)
    if config.weights is not None:
        load_backbone(backbone, Path(config.weights))
    settings = MaeSpec(decoder.mask, decoder.width, decoder.depth, decoder.num_heads, decoder.normalise)
    built = MaskedAutoencoder(backbone, image_size, spec.channels, settings)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
