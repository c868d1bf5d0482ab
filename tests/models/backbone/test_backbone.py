import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from transformers import SwinConfig

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec, layer_of

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
    ("name", "message"),
    [
        ("resnet18", "no Vision Transformer"),
        ("vit_smal_patch16_224", r"no timm model; did you mean vit_small_patch16_224, "),
        ("zzzzzz", "no timm model$"),
        ("vit_base_patch16_224.meow", r"timm has no weights 'meow' of it; did you mean vit_base_patch16_224\."),
        ("gogle/vit-base-patch16-224", r"finds no config.json .*; did you mean google/vit-base-patch16-224"),
    ],
)
def test_names_that_are_no_vit_are_refused_with_what_comes_near(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Backbone(BackboneSpec(name, 64))
    assert "\n" not in str(caught.value)


def test_a_family_that_is_not_known_is_refused(tmp_path: Path) -> None:
    SwinConfig().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="is a swin; expected one of vit, vit_mae, dinov2"):
        Backbone(BackboneSpec(str(tmp_path), 64))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no model of timm or transformers"):
        Backbone(BackboneSpec(str(tmp_path), 64))


def test_stochastic_depth_where_there_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.drop_path=0\.1: google/vit-base-patch16-224 has none"):
        Backbone(BackboneSpec("google/vit-base-patch16-224", 64, drop_path=0.1, **TINY))
    deep = Backbone(BackboneSpec("facebook/dinov2-small", 56, drop_path=0.1, **TINY))
    assert deep.vit.config.drop_path_rate == 0.1


EVERY = [
    "vit_tiny_patch16_224",
    "vit_small_patch16_dinov3",
    "vit_base_patch16_siglip_224",
    "google/vit-base-patch16-224",
    "facebook/vit-mae-base",
    "facebook/dinov2-small",
    "facebook/dinov3-vits16-pretrain-lvd1689m",
    "google/siglip-base-patch16-224",
]


def tiny(name: str, channels: int = 1) -> Backbone:
    torch.manual_seed(0)
    backbone = Backbone(BackboneSpec(name, 70 if "dinov2" in name else 80, channels, **TINY)).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return backbone


@pytest.mark.parametrize("name", EVERY)
def test_any_part_of_the_tokens_can_be_encoded(name: str) -> None:
    backbone = tiny(name)
    side = backbone.spec.image_size
    sequence, stem = backbone.embed(torch.randn(2, 1, side, side))
    assert stem is None
    assert sequence.shape == (2, backbone.prefix + 25, 32)
    order = torch.stack([torch.randperm(25), torch.randperm(25)])
    index = order[..., None].expand(-1, -1, 32)
    shuffled = torch.cat([sequence[:, : backbone.prefix], sequence[:, backbone.prefix :].gather(1, index)], 1)
    with torch.no_grad():
        whole, other = backbone.encode(sequence), backbone.encode(shuffled, order)
    expected = whole[:, backbone.prefix :].gather(1, index)  # attention knows no order but that of the positions
    torch.testing.assert_close(other[:, backbone.prefix :], expected, rtol=1e-4, atol=1e-5)
    part = shuffled[:, : backbone.prefix + 6]
    assert backbone.encode(part, order[:, :6]).shape == (2, backbone.prefix + 6, 32)
    if backbone.rotary:
        with pytest.raises(ValueError, match="6 patches of 5 x 5; rotary positions need `keep`"):
            backbone.encode(part)
    else:
        torch.testing.assert_close(backbone.encode(part), backbone.encode(part, order[:, :6]))


@pytest.mark.parametrize("name", EVERY)
def test_the_spec_rebuilds_the_backbone_after_json_and_images_need_not_be_square(name: str) -> None:
    backbone = tiny(name, channels=2)
    record = json.loads(json.dumps(asdict(backbone.spec)))
    again = Backbone(BackboneSpec(**{**record, "stem": tuple(record["stem"])})).eval()
    assert again.spec == backbone.spec
    again.load_state_dict(backbone.state_dict())
    images = torch.randn(1, 2, backbone.stride * 3, backbone.stride * 5)
    got, expected = again(images), backbone(images)
    assert got.tokens.shape == (1, 32, 3, 5)
    torch.testing.assert_close(got.tokens, expected.tokens)


@pytest.mark.parametrize("name", EVERY)
def test_checkpointing_changes_no_gradient(name: str) -> None:
    backbone = tiny(name).train()
    images = torch.randn(2, 1, backbone.spec.image_size, backbone.spec.image_size)
    gradients = []
    for again in (False, True):
        if again:
            backbone.adapter.checkpoint()
        backbone.zero_grad()
        torch.manual_seed(1)  # DINOv3 jitters its positions in training
        features = backbone(images)
        (features.summary.sin().sum() + features.tokens.cos().sum()).backward()
        gradients.append({n: p.grad.clone() for n, p in backbone.named_parameters() if p.requires_grad})
    for parameter, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][parameter], gradient, msg=parameter)


@pytest.mark.parametrize("name", EVERY)
def test_every_trainable_weight_is_used(name: str) -> None:
    backbone = tiny(name).train()
    features = backbone(torch.randn(1, 1, backbone.spec.image_size, backbone.spec.image_size))
    (features.summary.sum() + features.tokens.sum()).backward()
    assert not [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None]  # DDP would stop there


@pytest.mark.parametrize("name", EVERY)
def test_layers_are_counted_from_the_input_in_both_libraries(name: str) -> None:
    backbone = tiny(name)
    names = {layer: [n for n, _ in backbone.named_parameters() if layer_of(n) == layer] for layer in (-1, 0, 1, None)}
    assert sum(map(len, names.values())) == len(list(backbone.named_parameters()))
    assert len(names[0]) == len(names[1]) >= 10
    assert all("patch" in n or "pos" in n or "token" in n or "attn_pool" in n for n in names[-1])
    assert len(names[None]) == 2  # weight and bias of the last norm


def test_a_part_without_trainable_weights_stays_in_evaluation_mode() -> None:
    spec = BackboneSpec("vit_tiny_patch16_224", 64, stem=(8, 16, 24), patch_size=2, drop_path=0.5, **TINY)
    backbone = Backbone(spec)
    assert backbone.train().vit.training
    backbone.stem.requires_grad_(False)
    assert not backbone.train().stem.training
    assert backbone.vit.training
    backbone.requires_grad_(False)
    assert not any(module.training for module in backbone.train().vit.modules())


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of the token stride 16"):
        Backbone(BackboneSpec("vit_tiny_patch16_224", 72, **TINY))
    with pytest.raises(ConfigError, match="multiple of 8"):
        BackboneSpec("vit_tiny_patch16_224", 60, stem=(8, 8, 8))
