"""Tiny models of every family, made and saved by the library they come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTImageProcessor,
    ViTMAEConfig,
    ViTMAEModel,
    ViTModel,
)

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 16}
MLP = {**SMALL, "intermediate_size": 48}
ORIGINALS: dict[str, Callable[[], Any]] = {
    "vit": lambda: ViTModel(ViTConfig(**MLP)),
    "vit_mae": lambda: ViTMAEModel(ViTMAEConfig(**MLP, mask_ratio=0.0)),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SMALL)),
    "dinov2_with_registers": lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SMALL)),
    "dinov3_vit": lambda: DINOv3ViTModel(DINOv3ViTConfig(**MLP, num_register_tokens=4)),
    "siglip_vision_model": lambda: SiglipVisionModel(SiglipVisionConfig(**MLP)),
}
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}
TIMM = {
    "vit_tiny_patch16_224": TINY,
    "deit3_small_patch16_224": TINY,
    "deit_tiny_distilled_patch16_224": TINY,
    "vit_small_patch14_reg4_dinov2": TINY,
    "vit_base_patch16_siglip_224": TINY,
    "vit_base_patch16_clip_224": TINY,
    "vit_small_patch16_dinov3": TINY,
    "eva02_tiny_patch14_224": TINY,
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def shuffled(model: torch.nn.Module, seed: int = 0) -> Any:
    """Every weight drawn anew, so that none is a zero or a one that would hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.fixture
def original(tmp_path: Path) -> Callable[[str], tuple[Any, Path]]:
    """A model of transformers by its type, and the folder that it saved itself into."""

    def make(model_type: str) -> tuple[Any, Path]:
        model = shuffled(ORIGINALS[model_type]())
        folder = tmp_path / model_type
        model.save_pretrained(folder)
        ViTImageProcessor(image_mean=list(MEAN), image_std=list(STD)).save_pretrained(folder)
        return model, folder

    return make


@pytest.fixture
def original_timm(tmp_path: Path) -> Callable[[str, int], tuple[Any, Path]]:
    """A model of timm by name and size of its patches' grid, and the folder that it saved itself into."""

    def make(name: str, rows: int = 4) -> tuple[Any, Path]:
        patch = 14 if "patch14" in name else 16
        model = shuffled(
            timm.create_model(name, img_size=rows * patch, num_classes=0, dynamic_img_size=True, **TIMM[name])
        )
        data = {"mean": MEAN, "std": STD}
        timm.models.save_for_hf(model, tmp_path / name, safe_serialization=True, data_config=data)
        return model, tmp_path / name

    return make
