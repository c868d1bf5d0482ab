import pytest
import torch

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.stem import ResidualBlock, conv_stem, residual_stem
from radvit.records import Task

TINY = {"embed_dim": 32, "depth": 1, "num_heads": 2}


def test_a_new_block_hands_on_what_is_not_negative() -> None:
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(ResidualBlock(4)(x), x)


def test_a_block_adds_its_branch_to_its_input() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(3).eval()
    torch.nn.init.ones_(block.branch[4].weight)
    x = torch.randn(2, 3, 5, 5)
    kept = x.clone()
    inner = torch.relu(torch.nn.functional.conv2d(x, block.branch[0].weight, padding=1) / (1 + 1e-5) ** 0.5)
    branch = torch.nn.functional.conv2d(inner, block.branch[3].weight, padding=1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), torch.relu(x + branch))
    torch.testing.assert_close(x, kept)


@pytest.mark.parametrize(("widths", "blocks"), [((8,), 1), ((8, 16), 1), ((8, 16, 24), 2)])
def test_each_width_halves_the_side_and_has_its_blocks(widths: tuple[int, ...], blocks: int) -> None:
    stem = residual_stem(1, widths, blocks)
    assert stem(torch.zeros(2, 1, 32, 48)).shape == (2, widths[-1], 32 // 2 ** len(widths), 48 // 2 ** len(widths))
    assert sum(isinstance(layer, ResidualBlock) for layer in stem) == len(widths) * blocks
    strides = [layer.stride[0] for layer in stem if isinstance(layer, torch.nn.Conv2d)]
    assert strides == [1] + [2] * len(widths)


def test_a_backbone_has_the_stem_of_its_record() -> None:
    spec = BackboneSpec("vit_tiny_patch16_224", 32, stem=(8, 16), stem_blocks=1, patch_size=1, **TINY)
    backbone = Backbone(spec)
    features = backbone(torch.zeros(1, 1, 32, 32))
    assert backbone.stem is not None
    assert any(isinstance(layer, ResidualBlock) for layer in backbone.stem)
    assert features.stem is not None
    assert features.stem.shape == (1, 16, 8, 8)
    assert features.tokens.shape == (1, 32, 8, 8)


def test_records_carry_the_blocks_and_older_ones_mean_none() -> None:
    spec = ModelSpec(Task.CLASSIFY, 1, BackboneSpec("vit_tiny_patch16_224", 32, stem=(8,), stem_blocks=2))
    record = spec.to_dict()
    assert ModelSpec.from_dict(record) == spec
    del record["backbone"]["stem_blocks"]
    assert ModelSpec.from_dict(record).backbone.stem_blocks == 0


def test_blocks_without_a_stem_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.stem_blocks=1 without model.stem"):
        BackboneSpec("vit_tiny_patch16_224", 32, stem_blocks=1)


def test_stem_halves_once_a_width() -> None:
    assert conv_stem(1, (8, 16)).eval()(torch.zeros(1, 1, 32, 24)).shape == (1, 16, 8, 6)
