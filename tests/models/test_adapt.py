import copy

import pytest
import torch

from radvit.bundle import Bundle, Scope, load_bundle, save_bundle
from radvit.data.preprocess import Preprocess
from radvit.errors import ConfigError
from radvit.models.adapt import Adapt, LoraSpec, Target, adapt, kind_of, merge
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task

NAMES = [
    "vit_tiny_patch16_224",
    "vit_small_patch16_dinov3",
    "google/vit-base-patch16-224",
    "facebook/dinov2-small",
    "facebook/dinov3-vits16-pretrain-lvd1689m",
    "google/siglip-base-patch16-224",
]
BOTH = (Target.ATTENTION, Target.MLP)


PLAIN = LoraSpec(rank=2, dropout=0.5)


def classifier(name, how, lora=PLAIN, **fields):
    torch.manual_seed(0)
    backbone = BackboneSpec(name, 56 if "dinov2" in name else 64, embed_dim=32, depth=2, num_heads=2, **fields)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 2, backbone, hidden=16))
    adapt(model.backbone, how, lora)
    return model


def images(model):
    return torch.randn(3, 1, *[model.spec.backbone.image_size] * 2, generator=torch.Generator().manual_seed(1))


def one_step(model):
    """A step of plain descent; returns the names of the parameters that had gradients."""
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.5)
    model(images(model))["logits"].square().sum().backward()
    optimizer.step()
    return {name for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", NAMES)
def test_a_linear_probe_trains_the_head_alone_and_drops_nothing(name):
    model = classifier(name, Adapt.LINEAR)
    before = {n: v.clone() for n, v in model.backbone.state_dict().items()}
    assert one_step(model) == {n for n, _ in model.named_parameters() if n.startswith("head.")}
    assert all(torch.equal(before[n], v) for n, v in model.backbone.state_dict().items())
    torch.testing.assert_close(model.backbone(images(model)).tokens, model.backbone(images(model)).tokens)


def test_a_probes_stochastic_depth_and_batch_statistics_rest():
    model = classifier("vit_tiny_patch16_224", Adapt.LINEAR, stem=(8, 16), drop_path=0.9, patch_size=4)
    before = copy.deepcopy(model.backbone.stem[1].running_mean)
    one_step(model)
    assert torch.equal(model.backbone.stem[1].running_mean, before)
    assert model.head.training
    assert torch.equal(model.backbone(images(model)).summary, model.backbone(images(model)).summary)


@pytest.mark.parametrize("targets", [BOTH, (Target.ATTENTION,), (Target.MLP,)], ids=["both", "attention", "mlp"])
@pytest.mark.parametrize("name", NAMES)
def test_lora_trains_additions_and_head_alone_and_starts_where_the_weights_are(name, targets):
    model = classifier(name, Adapt.LORA, LoraSpec(2, 4.0, 0.0, targets))
    plain = classifier(name, Adapt.FULL)
    expected = {n for n, p in model.named_parameters() if n.startswith("head.") or "lora_" in n}
    kinds = {kind_of(n) for n in expected if "lora_" in n}
    assert kinds == set(targets)
    plain.head.load_state_dict(model.head.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images(model)), plain.eval()(images(model)))
    assert one_step(model) == expected
    frozen = {n.replace(".base_layer", ""): v for n, v in model.backbone.state_dict().items() if "lora_" not in n}
    assert all(torch.equal(frozen[n], v) for n, v in plain.backbone.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_merged_logits_equal_unmerged_ones_and_a_bundle_holds_plain_weights(name, tmp_path):
    model = classifier(name, Adapt.LORA, LoraSpec(2, 4.0, 0.1, BOTH))
    for _ in range(3):
        one_step(model)
    with torch.no_grad():
        expected = model.eval()(images(model))["logits"]
        plain = classifier(name, Adapt.FULL)
        assert (expected - plain.eval()(images(model))["logits"]).abs().max() > 1e-3  # it has learned something
        merge(model.backbone)
        torch.testing.assert_close(model(images(model))["logits"], expected, rtol=1e-5, atol=1e-5)
    assert set(model.state_dict()) == set(plain.state_dict())
    bundle = Bundle(tmp_path, model.spec, ("a", "b"), False, Preprocess(model.spec.backbone.image_size), Scope())
    save_bundle(bundle, model, "")
    with torch.no_grad():
        torch.testing.assert_close(
            load_bundle(tmp_path).model()(images(model))["logits"], expected, rtol=1e-5, atol=1e-5
        )


def test_a_copy_of_a_lora_model_learns_and_merges_by_itself():
    model = classifier("vit_tiny_patch16_224", Adapt.LORA, LoraSpec(2, 4.0, 0.0, BOTH))
    other = copy.deepcopy(model)  # as averaged weights are kept
    before = {n: v.clone() for n, v in model.state_dict().items()}
    one_step(other)
    one_step(other)
    with torch.no_grad():
        expected = other.eval()(images(model))["logits"]
        merge(other.backbone)
        torch.testing.assert_close(other(images(model))["logits"], expected, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_gradients_reach_lora_through_checkpoints():
    gradients = []
    for again in (False, True):
        model = classifier("google/vit-base-patch16-224", Adapt.LORA, LoraSpec(2, 4.0, 0.0, BOTH))
        if again:
            model.backbone.adapter.checkpoint()
        model.head.eval()
        model.backbone.train()
        for parameter in model.backbone.parameters():
            if parameter.requires_grad:
                torch.nn.init.constant_(parameter, 0.02)
        model(images(model))["logits"].square().sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None and "lora_" in n})
    assert len(gradients[0]) == 2 * 2 * 6  # A and B, two blocks, six linear layers each
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_merging_without_additions_changes_nothing():
    model = classifier("vit_tiny_patch16_224", Adapt.FULL)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    merge(model.backbone)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_targets_that_are_not_there_are_refused():
    with pytest.raises(ConfigError, match=r"model\.lora\.targets=\[\]: vit_tiny_patch16_224 has no such layers"):
        classifier("vit_tiny_patch16_224", Adapt.LORA, LoraSpec(targets=()))
