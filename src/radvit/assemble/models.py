"""Models."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from radvit.config import (
    ModelConfig,
)
from radvit.models.backbone import BackboneSpec
from radvit.models.vit import ModelSpec, RadiographViT
from radvit.models.weights import load_backbone
from radvit.records import Task

log = logging.getLogger(__name__)


def model_spec(config: ModelConfig, image_size: int, classes: int) -> ModelSpec:
    """The architecture."""
    return ModelSpec(
        task=Task(config.task.value),
        classes=classes,
        backbone=backbone_spec(config, image_size),
        hidden=config.hidden,
        dropout=config.dropout,
        pool=config.pool,
        strides=tuple(config.strides),
        width=config.width,
    )


def backbone_spec(config: ModelConfig, image_size: int) -> BackboneSpec:
    """The architecture without its head."""
    return BackboneSpec(
        name=config.name,
        image_size=image_size,
        stem=tuple(config.stem),
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        drop_path=config.drop_path,
    )


def model(config: ModelConfig, image_size: int, classes: int) -> RadiographViT:
    """The model, with published weights or those of a run where asked for; convolutions run channels-last."""
    built = RadiographViT(model_spec(config, image_size, classes), config.pretrained)
    if config.weights is not None:
        load_backbone(built.backbone, Path(config.weights))
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
