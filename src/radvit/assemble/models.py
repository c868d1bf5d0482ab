"""Models."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from radvit.assemble.weights import weights_at
from radvit.config import (
    ModelConfig,
    SlidingConfig,
)
from radvit.models.adapt import Adapt, LoraSpec, Target, adapt
from radvit.models.backbone import BackboneSpec, Normalisation
from radvit.models.decode import DecodeSpec
from radvit.models.detectors import DetectorKind
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.models.windows import Blend, WindowSpec
from radvit.records import Task

log = logging.getLogger(__name__)


def model_spec(config: ModelConfig, image_size: int, classes: int) -> ModelSpec:
    """The architecture."""
    window = window_spec(config.window, image_size)
    return ModelSpec(
        task=Task(config.task.value),
        classes=classes,
        backbone=backbone_spec(config, image_size if window is None else window.size),
        hidden=config.hidden,
        dropout=config.dropout,
        pool=config.pool,
        strides=tuple(config.strides),
        width=config.width,
        window=window,
        detector=DetectorKind(config.detector.value),
        decode=DecodeSpec(**vars(config.decode)),
    )


def window_spec(config: SlidingConfig, image_size: int) -> WindowSpec | None:
    """How windows slide over an image; None where none do. Raises ConfigError where a window is larger than that."""
    if config.size is None:
        return None
    blend = Blend(config.blend.value)
    spec = WindowSpec(config.size, config.stride, blend, config.share, config.threshold, config.edge, config.most)
    spec.starts(image_size)
    return spec


def backbone_spec(config: ModelConfig, image_size: int) -> BackboneSpec:
    """The architecture without its head."""
    return BackboneSpec(
        name=config.name,
        image_size=image_size,
        stem=tuple(config.stem),
        stem_blocks=config.stem_blocks,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        drop_path=config.drop_path,
        attention_window=config.attention_window,
        global_every=config.global_every,
        merge_tokens=config.merge_tokens,
    )


def model(config: ModelConfig, image_size: int, classes: int, normalise: Normalisation | None = None) -> RadiographViT:
    """The model, with the first weights and as much of it trainable as asked for; convolutions run channels-last.

    normalise: mean and deviation of its inputs, which the first weights are adapted to.
    """
    built = RadiographViT(model_spec(config, image_size, classes), config.pretrained, normalise)
    if config.weights is not None:
        built.backbone.load(weights_at(Path(config.weights), built.backbone), normalise)
    targets = tuple(Target(target.value) for target in config.lora.targets)
    lora = LoraSpec(config.lora.rank, config.lora.alpha, config.lora.dropout, targets)
    adapt(built.backbone, Adapt(config.adapt.value), lora)
    if config.checkpointing:
        built.backbone.adapter.checkpoint()
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
