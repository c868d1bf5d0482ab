from dataclasses import replace

import pytest
import torch
from torch import nn

from radvit.config import ModelConfig, TaskName
from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec
from radvit.models.backbone.windowed import within_windows

TIMM = BackboneSpec("vit_tiny_patch16_224", 128, embed_dim=32, depth=4, num_heads=2)
HUGGING = BackboneSpec("google/vit-base-patch16-224", 128, embed_dim=32, depth=3, num_heads=2)


class Summed(nn.Module):
    """Adds to every token the sum of all tokens of its sequence: who saw whom can be read from the result."""

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return sequence + sequence.sum(1, keepdim=True)


def slow(sequence: torch.Tensor, grid: tuple[int, int], prefix: int, side: int) -> torch.Tensor:
    """The definition, a window and a token at a time."""
    out, heads = sequence.clone(), []
    for row in range(0, grid[0], side):
        for column in range(0, grid[1], side):
            cells = [prefix + r * grid[1] + c for r in range(row, row + side) for c in range(column, column + side)]
            seen = Summed()(sequence[:, [*range(prefix), *cells]])
            out[:, cells] = seen[:, prefix:]
            heads.append(seen[:, :prefix])
    out[:, :prefix] = torch.stack(heads).mean(0)
    return out


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize(("grid", "side"), [((4, 4), 2), ((2, 6), 2), ((3, 3), 3), ((4, 2), 1)])
def test_each_window_sees_itself_and_the_prefix(prefix, grid, side):
    torch.manual_seed(0)
    sequence = torch.randn(2, prefix + grid[0] * grid[1], 3, dtype=torch.float64)
    before = sequence.clone()
    torch.testing.assert_close(
        within_windows(Summed(), sequence, grid, prefix, side), slow(sequence, grid, prefix, side)
    )
    torch.testing.assert_close(sequence, before)


def test_no_window_is_one_that_holds_all():
    torch.manual_seed(0)
    sequence = torch.randn(2, 1 + 16, 3, dtype=torch.float64)
    whole = within_windows(Summed(), sequence, (4, 4), 1, None)
    torch.testing.assert_close(within_windows(Summed(), sequence, (4, 4), 1, 4), whole)


@pytest.mark.parametrize("grid", [(4, 3), (3, 4), (4, 8)])
def test_patches_that_fill_no_windows_are_refused(grid):
    with pytest.raises(ValueError, match="expected all, in windows of 2"):
        within_windows(Summed(), torch.zeros(1, 13, 3), grid, 1, 2)


@pytest.mark.parametrize("spec", [TIMM, HUGGING])
def test_only_the_global_blocks_see_across_windows(spec):
    """A pixel far away changes a token if, and only if, its block is global; deeper, the class token tells of it."""
    local = replace(spec, depth=1, attention_window=4, global_every=2)
    images = torch.zeros(1, 1, 128, 128)
    other = images.clone()
    other[..., 100:, 100:] = 3.0
    for one, reaches in ((local, False), (replace(local, global_every=1), True)):
        torch.manual_seed(0)
        backbone = Backbone(one).eval()
        change = (backbone(other).tokens - backbone(images).tokens).abs().amax(1)[0]  # (8, 8)
        assert bool(change[4:, 4:].max() > 1e-4)
        assert bool(change[:4, :4].max() > 1e-7) is reaches


@pytest.mark.parametrize("spec", [TIMM, HUGGING])
def test_weights_are_those_of_a_model_without_windows(spec):
    whole, cut = Backbone(spec).eval(), Backbone(replace(spec, attention_window=8)).eval()
    cut.load_state_dict(whole.state_dict())
    images = torch.randn(1, 1, 128, 128)
    torch.testing.assert_close(cut(images).tokens, whole(images).tokens)  # 8 x 8 patches: one window


def test_checkpointed_blocks_give_the_same_gradients():
    images, grads = torch.randn(1, 1, 128, 128), []
    for again in (False, True):
        torch.manual_seed(0)
        backbone = Backbone(replace(TIMM, attention_window=4))
        if again:
            backbone.adapter.checkpoint()
        backbone(images).tokens.square().mean().backward()
        grads.append(backbone.adapter.blocks[0].attn.qkv.weight.grad)
    torch.testing.assert_close(grads[0], grads[1])


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"model\.attention_window=3 with 8 tokens a side; expected a divisor"):
        Backbone(replace(TIMM, attention_window=3))
    rotary = BackboneSpec("facebook/dinov3-vits16-pretrain-lvd1689m", 128, embed_dim=32, depth=2, num_heads=2)
    with pytest.raises(ConfigError, match="its rotary positions know no windows"):
        Backbone(replace(rotary, attention_window=4))


def test_attention_windows_are_for_models_that_see_all_patches():
    with pytest.raises(ConfigError, match=r"model\.attention_window=8 with model\.task=mae; expected null"):
        ModelConfig(task=TaskName.mae, attention_window=8)
    assert ModelConfig(attention_window=8).attention_window == 8
    with pytest.raises(ConfigError, match=r"model\.attention_window=0"):
        ModelConfig(attention_window=0)
