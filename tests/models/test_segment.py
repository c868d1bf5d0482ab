import pytest
import torch

from radvit.errors import ConfigError
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}
STEMMED = BackboneSpec("vit_tiny_patch16_224", 64, stem=(8, 16, 16), patch_size=2, **TINY)
PLAIN = BackboneSpec("vit_tiny_patch16_224", 64, **TINY)


@pytest.mark.parametrize("backbone", [STEMMED, PLAIN], ids=["stem", "plain"])
@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_masks_come_at_the_stride_asked_for(backbone: BackboneSpec, stride: int) -> None:
    model = RadiographViT(ModelSpec(Task.SEGMENT, 3, backbone, strides=(stride,), width=16)).eval()
    outputs = model(torch.zeros(2, 1, 64, 64))
    assert {name: value.shape for name, value in outputs.items()} == {
        f"mask_{stride}": (2, 3, 64 // stride, 64 // stride)
    }


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_the_stems_detail_reaches_the_mask(stride: int) -> None:
    torch.manual_seed(0)
    head = RadiographViT(ModelSpec(Task.SEGMENT, 1, STEMMED, strides=(stride,), width=16)).head
    assert head.level.skip is not None


def test_an_untrained_segmenter_draws_nothing() -> None:
    torch.manual_seed(0)
    model = RadiographViT(ModelSpec(Task.SEGMENT, 1, STEMMED, strides=(4,), width=16)).eval()
    assert model(torch.randn(2, 1, 64, 64))["mask_4"].sigmoid().max() < 0.05


def test_a_stride_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.strides=\[6\]; expected 16 times a power of two"):
        RadiographViT(ModelSpec(Task.SEGMENT, 1, PLAIN, strides=(6,)))
