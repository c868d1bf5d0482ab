"""Where transformers keeps the parts of its Vision Transformers, and the models that are known without the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import (
    Dinov2Model,
    Dinov2WithRegistersModel,
    DINOv3ViTModel,
    PreTrainedModel,
    SiglipVisionModel,
    ViTMAEModel,
    ViTModel,
)


@dataclass(frozen=True, slots=True)
class Family:
    """Paths in a model class. patch: its convolution. positions: its learned table. prefix: class tokens.

    options: arguments that leave out what a backbone does without. pinned: the same in the configuration.
    """

    model: type[PreTrainedModel]
    blocks: str
    norm: str
    patch: str = "embeddings.patch_embeddings.projection"
    positions: str | None = "embeddings.position_embeddings"
    prefix: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    pinned: Mapping[str, Any] = field(default_factory=dict)


FAMILIES: Mapping[str, Family] = {
    "vit": Family(ViTModel, "layers", "layernorm", options={"add_pooling_layer": False}),
    "vit_mae": Family(ViTMAEModel, "layers", "layernorm"),
    "dinov2": Family(Dinov2Model, "encoder.layer", "layernorm"),
    "dinov2_with_registers": Family(Dinov2WithRegistersModel, "encoder.layer", "layernorm"),
    "dinov3_vit": Family(DINOv3ViTModel, "model.layer", "norm", patch="embeddings.patch_embeddings", positions=None),
    "siglip_vision_model": Family(
        SiglipVisionModel,
        "encoder.layers",
        "post_layernorm",
        patch="embeddings.patch_embedding",
        positions="embeddings.position_embedding.weight",
        prefix=0,
        pinned={"vision_use_head": False},
    ),
}
"""By the `model_type` of a configuration."""

VIT = {"model_type": "vit", "image_size": 224, "patch_size": 16}
DINOV2 = {"model_type": "dinov2", "image_size": 518, "patch_size": 14}
DINOV3 = {"model_type": "dinov3_vit", "image_size": 224, "patch_size": 16, "num_register_tokens": 4}
SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
MLP = "intermediate_size"

KNOWN: Mapping[str, dict[str, Any]] = {
    "google/vit-base-patch16-224": {**VIT, **BASE, MLP: 3072},
    "google/vit-base-patch16-224-in21k": {**VIT, **BASE, MLP: 3072},
    "google/vit-base-patch16-384": {**VIT, **BASE, MLP: 3072, "image_size": 384},
    "google/vit-large-patch16-224": {**VIT, **LARGE, MLP: 4096},
    "facebook/vit-mae-base": {**VIT, **BASE, MLP: 3072, "model_type": "vit_mae"},
    "facebook/vit-mae-large": {**VIT, **LARGE, MLP: 4096, "model_type": "vit_mae"},
    "facebook/dinov2-small": {**DINOV2, **SMALL},
    "facebook/dinov2-base": {**DINOV2, **BASE},
    "facebook/dinov2-large": {**DINOV2, **LARGE},
    "microsoft/rad-dino": {**DINOV2, **BASE},
    "facebook/dinov3-vits16-pretrain-lvd1689m": {**DINOV3, **SMALL, MLP: 1536},
    "facebook/dinov3-vitb16-pretrain-lvd1689m": {**DINOV3, **BASE, MLP: 3072},
    "facebook/dinov3-vitl16-pretrain-lvd1689m": {**DINOV3, **LARGE, MLP: 4096},
    "google/siglip-base-patch16-224": {**VIT, **BASE, MLP: 3072, "model_type": "siglip_vision_model"},
}
"""Architectures of models on the hub, so that they can be built with random weights where the hub can't be reached."""
