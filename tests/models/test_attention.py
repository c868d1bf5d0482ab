from collections.abc import Callable
from typing import Any

import pytest
import torch

from radvit.errors import ConfigError
from radvit.models.attention import Recorder, record
from radvit.models.backbone import BackboneSpec
from radvit.models.backbone.families import FAMILIES
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task

TINY = {"embed_dim": 32, "depth": 3, "num_heads": 2}
TIMM = {
    "vit_tiny_patch16_224": 1,
    "vit_small_patch14_reg4_dinov2": 5,
    "deit_tiny_distilled_patch16_224": 2,
    "vit_base_patch16_siglip_224": 0,
    "vit_small_patch16_dinov3": 5,
    "eva02_tiny_patch14_224": 1,
}
HUB = {"vit": 1, "vit_mae": 1, "dinov2": 1, "dinov2_with_registers": 5, "dinov3_vit": 5, "siglip_vision_model": 0}


def classifier(name: str, config: dict[str, Any] | None = None, side: int = 64, depth: int = 3) -> RadiographViT:
    torch.manual_seed(0)
    size = {} if config else {**TINY, "depth": depth}
    spec = BackboneSpec(name, side, config=config, **size)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 2, spec, hidden=16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def of_transformers(model_type: str) -> RadiographViT:
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 64, "patch_size": 16}
    further = {} if model_type.startswith("dinov2") else {"intermediate_size": 48}
    registers = {"num_register_tokens": 4} if HUB[model_type] == 5 else {}
    pinned = dict(FAMILIES[model_type].pinned)
    config = {"model_type": model_type, "num_channels": 1, **sizes, **further, **registers, **pinned}
    return classifier("somewhere/tiny", config)


def test_merged_tokens_are_refused():
    model = classifier("vit_tiny_patch16_224")
    merging = RadiographViT(model.spec.merging(0.25))
    with pytest.raises(ConfigError, match=r"model\.merge_tokens=0\.25: its blocks don't see every patch"):
        record(merging, torch.zeros(1, 1, 64, 64), differentiable=False)


def seen_by_hooks(model: RadiographViT, images: torch.Tensor) -> list[torch.Tensor]:
    """What timm's blocks hand to their dropout when they compute attention themselves."""
    seen: list[torch.Tensor] = []
    hooks = []
    for block in model.backbone.adapter.blocks:
        block.attn.fused_attn = False
        hooks.append(block.attn.attn_drop.register_forward_hook(lambda _, given, __: seen.append(given[0])))
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(("name", "prefix"), TIMM.items())
@pytest.mark.parametrize("fused", [True, False])
def test_timm_blocks_are_seen_whether_or_not_attention_is_fused(name: str, prefix: int, fused: bool) -> None:
    side = 70 if "14" in name else 64
    model = classifier(name, side=side)
    images = torch.randn(2, 1, side, side)
    wanted = seen_by_hooks(model, images)
    for block in model.backbone.adapter.blocks:
        block.attn.fused_attn = fused
    with torch.no_grad():
        plain = model(images)["logits"]
    found = record(model, images, differentiable=False)
    rows, columns = found.grid
    assert (found.prefix, rows * columns + prefix) == (prefix, wanted[0].shape[-1])
    assert len(found.attention) == len(wanted) == 3
    for mine, theirs in zip(found.attention, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found.logits, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model_type", HUB)
def test_blocks_of_transformers_are_seen(model_type: str) -> None:
    model = of_transformers(model_type)
    images = torch.randn(2, 1, 64, 64)
    assert model.backbone.vit.config._attn_implementation == "sdpa"
    with torch.no_grad():
        plain = model(images)["logits"]
    found = record(model, images, differentiable=False)
    assert (found.prefix, found.grid) == (HUB[model_type], (4, 4))
    torch.testing.assert_close(found.logits, plain, atol=1e-5, rtol=1e-4)
    model.backbone.vit.set_attn_implementation("eager")
    outputs: list[torch.Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, __, given: outputs.append(given[1]))
        for name, module in model.backbone.vit.named_modules()
        if name.endswith((".attention", ".self_attn", ".attention.attention")) and hasattr(module, "config")
    ]
    eager = record(model, images, differentiable=False)
    for hook in hooks:
        hook.remove()
    for mine, other in zip(found.attention, eager.attention, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-4)
    told = [weights for weights in outputs if weights is not None]
    assert len(told) >= 3
    for mine, theirs in zip(found.attention, told, strict=False):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-4)


def test_gradients_are_those_of_finite_differences() -> None:
    model = classifier("vit_tiny_patch16_224").double()
    images = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    found = record(model, images, differentiable=True)
    gradient = torch.autograd.grad(found.logits[0, 1], found.attention)[1]
    step, place = 1e-6, (0, 1, 2, 5)

    class Nudged(Recorder):
        def _keep(self, weights: torch.Tensor) -> torch.Tensor:
            kept = super()._keep(weights)
            if len(self.kept) != 2:
                return kept
            moved = kept.clone()
            moved[place] += step
            return moved

    with torch.no_grad(), Nudged(False):
        moved = model(images)["logits"]
    assert (moved[0, 1] - found.logits[0, 1]).item() / step == pytest.approx(gradient[place].item(), rel=1e-3, abs=1e-7)


def test_a_frozen_model_has_gradients_too() -> None:
    model = classifier("vit_tiny_patch16_224", depth=1).requires_grad_(False)
    found = record(model, torch.randn(1, 1, 64, 64), differentiable=True)
    (gradient,) = torch.autograd.grad(found.logits[0, 0], found.attention)
    assert gradient.abs().sum() > 0


def test_nothing_is_kept_when_it_ends_and_the_model_is_as_it_was() -> None:
    model = classifier("vit_tiny_patch16_224")
    images = torch.randn(1, 1, 64, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    record(model, images, differentiable=True)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.inference_mode():
        assert not model(images)["logits"].requires_grad


def test_what_is_no_classifier_is_refused() -> None:
    spec = BackboneSpec("vit_tiny_patch16_224", 64, **TINY)
    model = RadiographViT(ModelSpec(Task.SEGMENT, 1, spec, width=8, strides=(8,))).eval()
    with pytest.raises(ConfigError, match="a model that gives mask_8; expected a classifier"):
        record(model, torch.zeros(1, 1, 64, 64), differentiable=False)


def test_a_block_that_hides_its_attention_is_refused() -> None:
    class Hidden(torch.nn.Module):
        def forward(self, x: torch.Tensor, **_: Any) -> torch.Tensor:
            weights = (x @ x.transpose(1, 2)).exp()
            return weights / weights.sum(-1, keepdim=True) @ x

    model = classifier("vit_tiny_patch16_224")
    model.backbone.adapter.blocks[1].attn = Hidden()
    with pytest.raises(ConfigError, match=r"saw 2 attention maps .* expected 3 of 17 x 17, one a block"):
        record(model, torch.randn(1, 1, 64, 64), differentiable=False)


@pytest.mark.parametrize(
    "odd", [{"dropout_p": 0.5}, {"is_causal": True}, {"enable_gqa": True}], ids=["dropout", "causal", "shared"]
)
def test_attention_of_another_kind_is_refused(odd: dict[str, Any]) -> None:
    q = torch.randn(1, 2, 4, 8)
    with pytest.raises(ConfigError, match="attention with dropout, a causal mask or shared keys"), Recorder(False):
        torch.nn.functional.scaled_dot_product_attention(q, q, q, **odd)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_a_mask_and_a_scale_count(kind: torch.dtype) -> None:
    q, k, v = torch.randn(3, 1, 2, 4, 8)
    mask = torch.rand(4, 4) > 0.4
    mask.fill_diagonal_(True)
    given = mask if kind is torch.bool else torch.randn(4, 4)
    attend: Callable[..., torch.Tensor] = torch.nn.functional.scaled_dot_product_attention
    wanted = attend(q, k, v, attn_mask=given, scale=0.3)
    with Recorder(False) as recorder:
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=given, scale=0.3)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(recorder.kept[0].sum(-1), torch.ones(1, 2, 4))
    if kind is torch.bool:
        assert (recorder.kept[0][..., ~mask] == 0).all()
