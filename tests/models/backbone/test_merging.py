from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec
from radvit.models.backbone.merging import (
    Match,
    Present,
    Watch,
    encode_merging,
    log_sizes,
    matched,
    merged,
    merging_number,
    spread,
    taken,
    tokens_by_block,
)

from .conftest import TIMM, TINY

HUB = {"google/vit-base-patch16-224", "facebook/dinov2-small", "facebook/dinov3-vits16-pretrain-lvd1689m"}
HUB |= {"google/siglip-base-patch16-224", "facebook/vit-mae-base"}
NAMES = sorted(HUB | TIMM.keys())


def spec_of(name: str, share: float, depth: int = 3) -> BackboneSpec:
    side = 8 * (14 if "patch14" in name or "dinov2" in name else 16)
    return BackboneSpec(name, side, merge_tokens=share, **{**TINY, "depth": depth})


def shaken(spec: BackboneSpec) -> Backbone:
    torch.manual_seed(0)
    backbone = Backbone(spec)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return backbone.eval()


def slow(tokens: np.ndarray, sizes: np.ndarray, keys: np.ndarray, number: int):
    """The definition, one image and a pair at a time: tokens, sizes, and where each token went."""
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    a, b = list(range(0, len(tokens), 2)), list(range(1, len(tokens), 2))
    partner = {i: max(b, key=lambda j: unit[i] @ unit[j]) for i in a}
    going = sorted(a, key=lambda i: -(unit[i] @ unit[partner[i]]))[:number]
    groups = {j: [j] for j in b}
    for i in going:
        groups[partner[i]].append(i)
    members = [[i] for i in sorted(set(a) - set(going), key=lambda i: -(unit[i] @ unit[partner[i]]))]
    members += [groups[j] for j in b]
    new = np.stack([(tokens[g] * sizes[g, None]).sum(0) / sizes[g].sum() for g in members])
    went = {i: place for place, group in enumerate(members) for i in group}
    return new, np.array([sizes[g].sum() for g in members]), [went[i] for i in range(len(tokens))]


@given(st.integers(2, 14), st.integers(0, 2**20), st.integers(0, 3), st.data())
@settings(deadline=None, max_examples=60)
def test_merging_is_what_the_definition_says(n, seed, prefix, data):
    number = data.draw(st.integers(1, n // 2))
    rng = np.random.default_rng(seed)
    tokens, keys = rng.standard_normal((2, prefix + n, 5)), rng.standard_normal((2, n, 4))
    sizes = rng.integers(1, 5, (2, n)).astype(float)
    own = torch.arange(n).expand(2, -1)
    present = Present(torch.from_numpy(sizes).float(), own, own)
    match = matched(torch.from_numpy(keys), number)
    left, after = merged(torch.from_numpy(tokens), prefix, present, match)
    assert left.shape == (2, prefix + n - number, 5)
    np.testing.assert_array_equal(left[:, :prefix], tokens[:, :prefix])
    for k in range(2):
        new, total, went = slow(tokens[k, prefix:], sizes[k], keys[k], number)
        np.testing.assert_allclose(left[k, prefix:], new, rtol=1e-9)
        np.testing.assert_allclose(after.sizes[k], total)
        assert after.holders[k].tolist() == went
        assert [went[place] for place in after.places[k].tolist()] == list(range(n - number))


def test_tokens_are_matched_by_direction_and_not_by_length():
    keys = torch.tensor([[[1.0, 0.0], [0.0, 9.0], [0.1, 1.0], [50.0, 1.0]]])
    match = matched(keys, 2)
    assert match.order.tolist() == [[0, 1]]  # 0 is most like 3; 2 is like 1
    assert match.partner.tolist() == [[1, 0]]


def test_equal_tokens_merge_without_a_trace():
    """An image of two patches' worth: attention in proportion to sizes can't tell merged tokens from all of them."""
    backbone = shaken(BackboneSpec("vit_tiny_patch16_224", 64, **{**TINY, "depth": 4}))
    torch.manual_seed(1)
    pair = torch.randn(2, 1, 2, 32)
    patches = pair.expand(-1, 8, -1, -1)[:, :, torch.tensor([0, 0])].flatten(1, 2)  # all 16 alike
    sequence = torch.cat([torch.randn(2, 1, 32), patches], 1)
    whole = backbone.encode(sequence)
    less = shaken(BackboneSpec("vit_tiny_patch16_224", 64, merge_tokens=0.5, **{**TINY, "depth": 4}))
    torch.testing.assert_close(less.encode(sequence), whole, atol=1e-5, rtol=1e-5)


def test_a_key_counts_as_often_as_the_patches_it_stands_for():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 3, 4, dtype=torch.float64).unbind(0)
    sizes = torch.tensor([[3.0, 1.0]])
    attend = torch.nn.functional.scaled_dot_product_attention
    with Watch(log_sizes(sizes, 1).double()) as watch:
        found = attend(query, key, value)
    often = torch.tensor([0, 1, 1, 1, 2])
    torch.testing.assert_close(found, attend(query, key[:, :, often], value[:, :, often]), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(watch.keys(), key.mean(1))


def test_spreading_gives_each_patch_its_own_token():
    sequence = torch.arange(8.0).reshape(1, 4, 2)
    whole = spread(sequence, 1, torch.tensor([[2, 0, 0, 1]]))
    assert whole[0, :, 0].tolist() == [0, 6, 2, 2, 4]


def test_taken_takes_from_the_right_image():
    tokens = torch.arange(12.0).reshape(2, 3, 2)
    assert taken(tokens, torch.tensor([[2, 2], [0, 1]]))[:, :, 0].tolist() == [[4, 4], [6, 8]]


def test_numbers_of_tokens():
    assert merging_number(1, 0.5) == 0
    assert merging_number(3, 0.5) == 1
    assert merging_number(196, 0.1) == 19
    assert tokens_by_block(256, 0.25, 4) == [256, 192, 144, 108]
    assert tokens_by_block(9, 0.0, 2) == [9, 9]


@pytest.mark.parametrize("name", NAMES)
def test_every_family_merges_and_gives_a_whole_grid(name):
    backbone, whole = shaken(spec_of(name, 0.25)), shaken(spec_of(name, 0.0))
    backbone.load_state_dict(whole.state_dict())
    images = torch.randn(2, 1, backbone.spec.image_size, backbone.spec.image_size)
    seen = []
    hook = backbone.adapter.blocks[2].register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    with torch.no_grad():
        features, plain = backbone(images), whole(images)
    hook.remove()
    assert seen == [backbone.prefix + 36]  # 64 -> 48 -> 36
    assert features.tokens.shape == plain.tokens.shape
    assert features.tokens.flatten(2).unique(dim=2).shape[2] <= 2 * 36
    assert not torch.allclose(features.tokens, plain.tokens)
    far, near = (features.summary - plain.summary).norm(), plain.summary.norm()
    assert far < near, "merging a quarter twice changes the summary, but not beyond recognition"


@pytest.mark.parametrize("name", ["vit_small_patch16_dinov3", "facebook/dinov3-vits16-pretrain-lvd1689m"])
def test_rotary_models_merge_what_is_left_of_the_patches(name):
    """Given all patches by number, in another order, they see what they saw."""
    backbone = shaken(spec_of(name, 0.25, depth=2))
    with torch.no_grad():
        sequence, _ = backbone.embed(torch.randn(1, 1, 128, 128))
        prefix, keep = backbone.prefix, torch.arange(64)[None]
        torch.testing.assert_close(backbone.encode(sequence, keep), backbone.encode(sequence))
        part = backbone.encode(sequence[:, : prefix + 20], keep[:, :20])
    assert part.shape[1] == prefix + 20


def test_no_merging_is_the_plain_path(monkeypatch):
    monkeypatch.setattr("radvit.models.backbone.timm_vit.encode_merging", None)
    assert shaken(spec_of("vit_tiny_patch16_224", 0.0))(torch.zeros(1, 1, 128, 128)).tokens.shape == (1, 32, 8, 8)


def test_gradients_reach_every_weight_and_training_learns():
    backbone = shaken(spec_of("vit_tiny_patch16_224", 0.3)).train()
    backbone(torch.randn(2, 1, 128, 128)).tokens.square().mean().backward()
    for name, parameter in backbone.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def test_the_gradient_is_that_of_differences():
    torch.manual_seed(0)
    own = torch.arange(6).expand(1, -1)
    match = matched(torch.randn(1, 6, 3), 2)
    present = Present(torch.tensor([[1.0, 2, 1, 1, 3, 1]]), own, own)
    tokens = torch.randn(1, 7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: merged(x, 1, present, match)[0], (tokens,))


def test_blocks_without_fused_attention_are_refused():
    backbone = shaken(spec_of("vit_tiny_patch16_224", 0.25))
    backbone.adapter.blocks[1].attn.fused_attn = False
    with pytest.raises(ConfigError, match=r"model\.merge_tokens with blocks that call fused attention 0 times"):
        backbone(torch.zeros(1, 1, 128, 128))


def test_one_patch_never_merges():
    sequence = torch.randn(2, 2, 4)
    left, holders = encode_merging(lambda i, x, keep: x, 3, sequence, 1, 0.5, None)
    torch.testing.assert_close(left, sequence)
    assert holders.tolist() == [[0], [0]]


@pytest.mark.parametrize("share", [-0.1, 0.51, float("nan")])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ConfigError, match=r"model\.merge_tokens=.*; expected a share from 0 to 0\.5"):
        BackboneSpec("vit_tiny_patch16_224", 64, merge_tokens=share)


def test_windows_and_merging_exclude_each_other():
    with pytest.raises(ConfigError, match=r"merged tokens fill no windows"):
        replace(spec_of("vit_tiny_patch16_224", 0.1), attention_window=4)


def test_match_is_the_same_for_an_image_whatever_its_batch():
    torch.manual_seed(0)
    keys = torch.randn(3, 10, 4)
    whole, alone = matched(keys, 3), matched(keys[1:2], 3)
    assert isinstance(whole, Match)
    torch.testing.assert_close(whole.order[1:2], alone.order)
    torch.testing.assert_close(whole.partner[1:2], alone.partner)


def test_each_block_is_told_where_its_tokens_stand():
    torch.manual_seed(0)
    told, keep = [], torch.tensor([[3, 9, 4, 7, 1, 0, 2, 8]])

    def step(i, x, places):
        told.append(places)
        heads = x[:, None]
        return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)[:, 0] + x

    sequence, holders = encode_merging(step, 3, torch.randn(1, 9, 4), 1, 0.25, keep)
    assert told[0] is keep
    assert [len(places[0]) for places in told[1:]] == [6, 5]
    assert sequence.shape == (1, 6, 4)
    for places in told[1:]:
        assert set(places[0].tolist()) <= set(keep[0].tolist())
        assert len(set(places[0].tolist())) == places.shape[1]
    for token, place in enumerate(told[2][0].tolist()):
        assert holders[0][keep[0].tolist().index(place)] == token  # a token stands at a patch that it holds
