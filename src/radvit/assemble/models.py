"""Models."""

from __future__ import annotations

import logging

import torch

from radvit.config import (
    ModelConfig,
    TaskName,
)
from radvit.models.backbone import BackboneSpec
from radvit.models.vit import ModelSpec, RadiographViT
from radvit.records import Task

log = logging.getLogger(__name__)


def model_spec(config: ModelConfig, image_size: int, classes: int) -> ModelSpec:
    """The architecture."""
    backbone = BackboneSpec(
        name=config.name,
        image_size=image_size,
        stem=tuple(config.stem),
        stem_blocks=config.stem_blocks,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        drop_path=config.drop_path,
    )
    return ModelSpec(
        task=Task.DETECT if config.task is TaskName.detect else Task.CLASSIFY,
        classes=classes,
        backbone=backbone,
        hidden=config.hidden,
        dropout=config.dropout,
        pool=config.pool,
        strides=tuple(config.strides),
        width=config.width,
    )


def model(config: ModelConfig, image_size: int, classes: int) -> RadiographViT:
    """The model, with published weights where `pretrained` asks for them; convolutions run channels-last."""
    built = RadiographViT(model_spec(config, image_size, classes), config.pretrained)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
