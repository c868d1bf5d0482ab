import itertools
import math

import pytest
import torch
from torch import nn

from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.training.optim import SHARDED, OptimSpec, depth_of, make_optimizer, parameter_groups, places, warmup_cosine


@pytest.fixture(scope="module")
def detector(spec):
    return RadiographViT(spec(Task.DETECT))


def test_warmup_rises_in_a_line_and_the_cosine_falls_to_zero():
    factors = [warmup_cosine(step, 100, 0.1) for step in range(101)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)  # half-way down
    assert factors[32] == pytest.approx(0.5 * (1 + math.cos(math.pi * 22 / 90)))
    assert factors[100] == pytest.approx(0, abs=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))


@pytest.mark.parametrize(("total", "warmup"), [(1, 0.05), (1, 0.0), (2, 1.0), (3, 0.0), (10, 1.0)])
def test_the_first_step_always_learns_and_none_exceeds_the_peak(total, warmup):
    factors = [warmup_cosine(step, total, warmup) for step in range(total)]
    assert factors[0] > 0
    assert all(0 <= factor <= 1 for factor in factors)


def test_past_the_end_the_rate_stays_zero():
    assert warmup_cosine(150, 100, 0.1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("head.score.weight", 0),
        ("backbone.vit.norm.weight", 1),
        ("backbone.vit.fc_norm.bias", 1),
        ("backbone.vit.blocks.11.attn.qkv.weight", 1),
        ("backbone.vit.blocks.0.mlp.fc1.bias", 12),
        ("backbone.vit.patch_embed.proj.weight", 13),
        ("backbone.vit.pos_embed", 13),
        ("backbone.vit.cls_token", 13),
        ("backbone.stem.0.weight", 13),
        ("backbone.vit.layernorm.weight", 1),
        ("backbone.vit.post_layernorm.weight", 1),
        ("backbone.vit.layers.11.attention.q_proj.weight", 1),
        ("backbone.vit.encoder.layer.0.mlp.fc1.bias", 12),
        ("backbone.vit.encoder.layers.3.self_attn.k_proj.weight", 9),
        ("backbone.vit.model.layer.11.layer_scale1.lambda1", 1),
        ("backbone.vit.blocks.4.attn.qkv.lora_A.default.weight", 8),
        ("backbone.vit.embeddings.position_embeddings", 13),
        ("backbone.vit.embeddings.patch_embeddings.projection.bias", 13),
    ],
)
def test_depths_of_a_vit_with_twelve_blocks(name, depth):
    assert depth_of(name, 12) == depth


def test_every_parameter_stands_in_one_group(detector):
    groups = parameter_groups(detector, OptimSpec(1e-3, layer_decay=0.7))
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in detector.parameters()}


def test_frozen_parameters_stay_out(spec):
    model = RadiographViT(spec(Task.CLASSIFY))
    model.backbone.requires_grad_(False)
    held = {id(p) for group in parameter_groups(model, OptimSpec(1e-3)) for p in group["params"]}
    assert held == {id(p) for p in model.head.parameters()}


def test_rates_fall_from_head_to_stem(detector):
    lr, decay = 1e-3, 0.5
    rate_of = {
        id(p): group["lr"]
        for group in parameter_groups(detector, OptimSpec(lr, layer_decay=decay))
        for p in group["params"]
    }
    named = {name: rate_of[id(p)] for name, p in detector.named_parameters()}
    assert named["head.score.weight"] == lr
    assert named["backbone.vit.blocks.1.mlp.fc1.weight"] == pytest.approx(lr * decay)
    assert named["backbone.vit.blocks.0.mlp.fc1.weight"] == pytest.approx(lr * decay**2)
    assert named["backbone.vit.pos_embed"] == pytest.approx(lr * decay**3)
    assert named["backbone.stem.0.weight"] == pytest.approx(lr * decay**3)


def test_without_layer_decay_there_is_one_rate(detector):
    assert {group["lr"] for group in parameter_groups(detector, OptimSpec(1e-3))} == {1e-3}


def test_only_matrices_and_kernels_are_decayed(detector):
    decay_of = {
        id(p): group["weight_decay"]
        for group in parameter_groups(detector, OptimSpec(1e-3, weight_decay=0.3))
        for p in group["params"]
    }
    norms = (nn.LayerNorm, nn.BatchNorm2d)
    for path, module in detector.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            embedding = name in ("pos_embed", "cls_token", "reg_token")
            plain = isinstance(module, norms) or name == "bias" or embedding
            assert decay_of[id(parameter)] == (0.0 if plain else 0.3), f"{path}.{name}"


@pytest.mark.parametrize("name", ["facebook/dinov2-small", "google/siglip-base-patch16-224"])
def test_a_model_of_transformers_has_its_rates_and_its_decay(name):
    backbone = BackboneSpec(name, 56 if "dinov2" in name else 64, embed_dim=32, depth=3, num_heads=2)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 1, backbone, hidden=8))
    groups = parameter_groups(model, OptimSpec(1.0, weight_decay=0.3, layer_decay=0.5))
    of = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    named = {n: of[id(p)] for n, p in model.named_parameters() if p.requires_grad}
    path = "backbone.vit." + ("encoder.layer" if "dinov2" in name else "encoder.layers")
    assert [named[f"{path}.{i}.mlp.fc1.weight"] for i in range(3)] == [(0.125, 0.3), (0.25, 0.3), (0.5, 0.3)]
    assert named[f"{path}.2.mlp.fc1.bias"] == (0.5, 0.0)
    places = [n for n in named if "position_embedding" in n or n.endswith("_token")]
    assert places
    assert all(named[n] == (0.0625, 0.0) for n in places)


def test_the_optimizer_follows_the_schedule(detector):
    optimizer, schedule = make_optimizer(detector, OptimSpec(0.2, warmup=0.5, layer_decay=0.5), 4)
    rates = []
    for _ in range(4):
        rates.append({group["lr"] / group["initial_lr"] for group in optimizer.param_groups})
        optimizer.step()
        schedule.step()
    assert all(len(rate) == 1 for rate in rates)
    assert [rate.pop() for rate in rates] == pytest.approx([0.5, 1.0, 1.0, 0.5])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["fused"]


def test_the_rate_ends_at_its_floor_and_moments_decay_as_told(detector):
    assert warmup_cosine(100, 100, 0.1, 0.05) == pytest.approx(0.05)
    assert warmup_cosine(10, 100, 0.1, 0.05) == 1.0
    optimizer, _ = make_optimizer(detector, OptimSpec(1e-3, beta1=0.8, beta2=0.95), 4)
    assert optimizer.defaults["betas"] == (0.8, 0.95)


def test_fused_steps_equal_plain_ones(spec):
    torch.manual_seed(0)
    models = [RadiographViT(spec(Task.CLASSIFY)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    fused, _ = make_optimizer(models[0], OptimSpec(1e-2), 4)
    plain = torch.optim.AdamW(parameter_groups(models[1], OptimSpec(1e-2)), betas=(0.9, 0.98), foreach=False)
    for group in plain.param_groups:
        group["lr"] = fused.param_groups[0]["lr"]  # the first rate of the warm-up
    for model, optimizer in zip(models, (fused, plain), strict=True):
        for i, parameter in enumerate(model.parameters()):
            parameter.grad = torch.full_like(parameter, 0.1 * (i % 5 - 2))
        optimizer.step()
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_sharded_model_keeps_the_places_that_its_weights_had_whole(detector):
    class Shards(nn.Module):
        """As FullyShardedDataParallel leaves a model: longer names, and flat weights."""

        def named_parameters(self):
            for name, p in detector.named_parameters():
                yield name.replace("blocks.0.", f"blocks.0.{SHARDED}"), nn.Parameter(p.detach().flatten())

    spec = OptimSpec(1e-3, layer_decay=0.5)
    whole, shards = (parameter_groups(m, spec, places(detector)) for m in (detector, Shards()))
    described = [[(g["lr"], g["weight_decay"], len(g["params"])) for g in groups] for groups in (whole, shards)]
    assert described[0] == described[1]
