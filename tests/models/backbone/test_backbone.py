import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec, conv_stem

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}


def test_tokens_equal_the_timm_model_it_wraps() -> None:
    torch.manual_seed(0)
    backbone = Backbone(BackboneSpec("vit_tiny_patch16_224", 64, **TINY)).eval()
    images = torch.randn(2, 1, 64, 64)
    features = backbone(images)
    sequence = backbone.vit.forward_features(images)
    assert features.stem is None
    assert features.tokens.shape == (2, 32, 4, 4)
    torch.testing.assert_close(features.summary, sequence[:, 0])
    torch.testing.assert_close(features.tokens[:, :, 1, 2], sequence[:, 1 + 1 * 4 + 2])


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (128, 160)])
def test_any_input_size_is_taken(size: tuple[int, int]) -> None:
    backbone = Backbone(BackboneSpec("vit_tiny_patch16_224", 64, **TINY)).eval()
    assert backbone(torch.zeros(1, 1, *size)).tokens.shape == (1, 32, size[0] // 16, size[1] // 16)


def test_stem_comes_before_the_patches_and_is_handed_on() -> None:
    spec = BackboneSpec("vit_tiny_patch16_224", 64, stem=(8, 16, 24), patch_size=2, **TINY)
    backbone = Backbone(spec)
    features = backbone(torch.zeros(1, 1, 64, 64))
    assert (backbone.stem_stride, backbone.stride) == (8, 16)
    assert features.stem is not None
    assert features.stem.shape == (1, 24, 8, 8)
    assert features.tokens.shape == (1, 32, 4, 4)


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "deit3_small_patch16_224", "vit_small_patch16_dinov3", "eva02_tiny_patch14_224"]
)
def test_different_timm_vits_fit(name: str) -> None:
    side = 64 if "14" not in name else 70
    backbone = Backbone(BackboneSpec(name, side)).eval()
    features = backbone(torch.zeros(1, 1, side, side))
    assert features.tokens.shape[2:] == (side // backbone.stride, side // backbone.stride)


def test_model_without_class_token_is_summarised_by_its_mean() -> None:
    backbone = Backbone(BackboneSpec("vit_base_patch16_siglip_224", 64, **TINY)).eval()
    features = backbone(torch.randn(2, 1, 64, 64))
    torch.testing.assert_close(features.summary, features.tokens.mean((2, 3)))


@pytest.mark.parametrize(
    ("name", "message"), [("resnet18", "no Vision Transformer"), ("vit_nonsense", "no timm model")]
)
def test_names_that_are_no_vit_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Backbone(BackboneSpec(name, 64))


def test_pretrained_weights_that_cannot_be_reached_stop_with_advice(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOAD, "x"], env=environment, capture_output=True, text=True)
    assert "ConfigError: no pretrained weights for vit_tiny_patch16_224" in done.stderr


LOAD = """
import sys, torch
from radvit.models.backbone import Backbone, BackboneSpec
backbone = Backbone(BackboneSpec("vit_tiny_patch16_224", 64), pretrained=True)
torch.save({"patch": backbone.vit.patch_embed.proj.weight, "pos": backbone.vit.pos_embed}, sys.argv[1])
"""


def test_pretrained_weights_in_the_hubs_cache_are_loaded_and_adapted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = timm.create_model("vit_tiny_patch16_224")
    repository, revision = published.pretrained_cfg["hf_hub_id"], "0" * 40
    folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(revision)
    save_file(published.state_dict(), snapshot / "model.safetensors")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOAD, str(tmp_path / "got.pt")], env=environment, check=True)
    got = torch.load(tmp_path / "got.pt", weights_only=True)
    torch.testing.assert_close(got["patch"], published.patch_embed.proj.weight.sum(1, keepdim=True))
    assert got["pos"].shape == (1, 1 + 4 * 4, 192)  # 64 px: resampled from 14 x 14
    torch.testing.assert_close(got["pos"][:, 0], published.pos_embed[:, 0])


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of the token stride 16"):
        Backbone(BackboneSpec("vit_tiny_patch16_224", 72, **TINY))
    with pytest.raises(ConfigError, match="multiple of 8"):
        BackboneSpec("vit_tiny_patch16_224", 60, stem=(8, 8, 8))


def test_stem_halves_once_a_width() -> None:
    assert conv_stem(1, (8, 16)).eval()(torch.zeros(1, 1, 32, 24)).shape == (1, 16, 8, 6)
