import numpy as np
import pytest
import torch

from radvit.errors import ConfigError
from radvit.models.attention import record
from radvit.models.backbone import BackboneSpec
from radvit.models.saliency import Method, read_out, relative, relevance, rollout, saliency_maps
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task


def some_attention(depth=3, batch=2, heads=4, tokens=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (depth, batch, heads, tokens, tokens)
    weights = torch.randn(shape, generator=generator, dtype=torch.float64).softmax(-1)
    return list(weights), list(torch.randn(shape, generator=generator, dtype=torch.float64))


def slow_product(a, b):
    every = range(len(a))
    return np.array([[sum(a[i, m] * b[m, j] for m in every) for j in every] for i in every])


def slow_rollout(attention):
    """Abnar and Zuidema 2020, section 3, one number at a time."""
    attention = [layer.numpy() for layer in attention]
    batch, heads, tokens, _ = attention[0].shape
    every = []
    for b in range(batch):
        reached = None
        for layer in attention:
            raw = np.zeros((tokens, tokens))
            for i in range(tokens):
                for j in range(tokens):
                    mean = sum(float(layer[b, h, i, j]) for h in range(heads)) / heads
                    raw[i, j] = 0.5 * mean + 0.5 * (i == j)
                raw[i] /= raw[i].sum()
            reached = raw if reached is None else slow_product(raw, reached)
        every.append(reached)
    return np.array(every)


def slow_relevance(attention, gradients):
    """Chefer, Gur and Wolf 2021, equations 5 and 6, one number at a time."""
    attention, gradients = ([layer.numpy() for layer in one] for one in (attention, gradients))
    batch, heads, tokens, _ = attention[0].shape
    every = []
    for b in range(batch):
        relevant = np.eye(tokens)
        for layer, gradient in zip(attention, gradients, strict=True):
            bar = np.zeros((tokens, tokens))
            for i in range(tokens):
                for j in range(tokens):
                    bar[i, j] = sum(max(0.0, float(gradient[b, h, i, j] * layer[b, h, i, j])) for h in range(heads))
            bar /= heads
            added = [
                [sum(bar[i, m] * relevant[m, j] for m in range(tokens)) for j in range(tokens)] for i in range(tokens)
            ]
            relevant = relevant + np.array(added)
        every.append(relevant)
    return np.array(every)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_both_methods_equal_a_slow_loop(depth):
    attention, gradients = some_attention(depth)
    np.testing.assert_allclose(rollout(attention).numpy(), slow_rollout(attention), atol=1e-12)
    np.testing.assert_allclose(
        relevance(attention, gradients).numpy(), slow_relevance(attention, gradients), atol=1e-12
    )


def test_known_answers():
    even = torch.full((1, 2, 3, 3), 1 / 3)
    torch.testing.assert_close(rollout([even])[0], 0.5 * torch.eye(3) + 1 / 6)
    torch.testing.assert_close(rollout([even, even]).sum(-1), torch.ones(1, 3))
    assert torch.equal(relevance([even], [-torch.ones_like(even)])[0], torch.eye(3))  # nothing speaks for the class
    torch.testing.assert_close(relevance([even], [torch.ones_like(even)])[0], torch.eye(3) + 1 / 3)


def test_inputs_are_left_as_they_were():
    attention, gradients = some_attention()
    before = [weights.clone() for weights in (*attention, *gradients)]
    rollout(attention)
    relevance(attention, gradients)
    assert all(torch.equal(a, b) for a, b in zip((*attention, *gradients), before, strict=True))


def test_the_class_token_or_the_mean_of_the_patches_is_read():
    matrix = torch.arange(2 * 64.0).reshape(2, 8, 8)
    token = read_out(matrix, 2, (2, 3), torch.eye(8)[:1].expand(2, -1))
    assert token.shape == (2, 2, 3)
    assert token[0].flatten().tolist() == [2, 3, 4, 5, 6, 7]  # row 0, without class and register token
    patches = torch.tensor([0.0, 0, 1, 1, 1, 1, 1, 1]).expand(2, -1) / 6
    mean = read_out(matrix, 2, (2, 3), patches)
    np.testing.assert_allclose(mean[1].flatten().numpy(), matrix[1].numpy()[2:, 2:].mean(0))


def test_relative_maps_go_from_nought_to_one_and_flat_ones_say_nothing():
    maps = torch.tensor([[[2.0, 4.0], [3.0, 6.0]], [[5.0, 5.0], [5.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = relative(maps)
    assert found[0].flatten().tolist() == [0, 0.5, 0.25, 1]
    assert not found[1:].any()
    rounding = torch.tensor([[[1.0, 1.0 + 1e-6], [1.0, 1.0]]])
    broken = torch.tensor([[[1.0, torch.nan], [2.0, torch.inf]]])
    assert not relative(rounding).any()
    assert not relative(broken).any()


def classifier(pool, depth=2, classes=2, name="vit_tiny_patch16_224"):
    torch.manual_seed(1)
    spec = BackboneSpec(name, 32, stem=(8, 16), patch_size=2, embed_dim=32, depth=depth, num_heads=2)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, classes, spec, hidden=16, pool=pool))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def pooled_rows(model, images, matrix, label):
    """What the head takes of each patch by a matrix of one image, (B, L, L), read off as it pools them."""
    if model.spec.pool == "token":
        return matrix[:, 0, 1:]
    if model.spec.pool == "mean":
        return matrix[:, 1:, 1:].mean(1)
    scores = model.head.patch_logits(model.backbone(images))[:, label].flatten(1).detach().double().numpy()
    weights = np.exp(5 * scores) / np.exp(5 * scores).sum(1, keepdims=True)
    return np.einsum("bi,bij->bj", weights, matrix[:, 1:, 1:])


@pytest.mark.parametrize("pool", ["token", "mean", "lse"])
@pytest.mark.parametrize("depth", [1, 2])
def test_maps_of_a_model_equal_the_slow_loops(pool, depth):
    model = classifier(pool, depth)
    images = torch.randn(2, 1, 32, 32)
    found = record(model, images, differentiable=True)
    rolled = saliency_maps(model, images, Method.ROLLOUT)
    weighted = saliency_maps(model, images, Method.GRADIENT)
    assert rolled.shape == weighted.shape == (2, 2, 4, 4)
    assert not weighted.requires_grad
    attention = [weights.detach().double() for weights in found.attention]
    slow = slow_rollout(attention)
    np.testing.assert_allclose(rolled[:, 0].flatten(1).numpy(), pooled_rows(model, images, slow, 0), atol=1e-6)
    assert torch.equal(rolled[:, 0], rolled[:, 1]) is (pool != "lse")  # else no class of its own
    for b, k in ((0, 0), (1, 1)):
        one = record(model, images[b : b + 1], differentiable=True)
        gradients = torch.autograd.grad(one.logits[0, k], one.attention)
        every = slow_relevance([a.detach().double() for a in one.attention], [g.double() for g in gradients])
        every -= np.eye(every.shape[-1])
        pooled = pooled_rows(model, images[b : b + 1], every, k)
        np.testing.assert_allclose(weighted[b, k].flatten().numpy(), pooled[0], atol=1e-6)


def test_a_model_without_a_class_token_is_read_by_its_patches():
    model = classifier("token", name="vit_base_patch16_siglip_224")
    assert model.backbone.prefix == 0
    images = torch.randn(1, 1, 32, 32)
    matrix = rollout(record(model, images, differentiable=False).attention)
    wanted = matrix.mean(1).reshape(1, 4, 4)
    torch.testing.assert_close(saliency_maps(model, images, Method.ROLLOUT)[:, 0], wanted)


def test_classes_have_maps_of_their_own_and_any_size_is_taken():
    model = classifier("mean", classes=3)
    maps = saliency_maps(model, torch.randn(1, 1, 32, 48), Method.GRADIENT)
    assert maps.shape == (1, 3, 4, 6)
    assert (maps >= 0).all()
    assert not torch.allclose(maps[:, 0], maps[:, 1])


def test_a_constant_image_gives_finite_maps():
    for pool in ("token", "mean", "lse"):
        for method in Method if pool == "lse" else (Method.ROLLOUT, Method.GRADIENT):
            maps = saliency_maps(classifier(pool), torch.full((1, 1, 32, 32), -2.0), method)
            assert torch.isfinite(relative(maps)).all()


def test_patches_are_scored_by_the_head_itself():
    model = classifier("lse", classes=3)
    images = torch.randn(2, 1, 32, 48)
    maps = saliency_maps(model, images, Method.PATCHES)
    assert maps.shape == (2, 3, 4, 6)
    assert not maps.requires_grad
    tokens = model.backbone(images).tokens[1, :, 2, 3]
    torch.testing.assert_close(maps[1, :, 2, 3], model.head.layers(tokens).sigmoid())
    assert torch.equal(saliency_maps(model, images, Method.PATCHES, [2, 0]), maps[:, [2, 0]])


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_a_head_that_scores_the_image_has_no_patches(pool):
    with pytest.raises(ConfigError, match=f"saliency.method=patches of a model with model.pool={pool}; expected"):
        saliency_maps(classifier(pool), torch.randn(1, 1, 32, 32), Method.PATCHES)
