"""What is exported, loaded by the library that it was exported for."""

import pytest
import timm
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec, Normalisation, Weights
from radvit.models.backbone.saving import Form, noted, save_backbone
from radvit.models.weight_files import read_weights

from .conftest import TIMM, TINY, shuffled

EXPECTED = Normalisation((0.4,), (0.3,))
HUB = [
    "google/vit-base-patch16-224",
    "facebook/vit-mae-base",
    "facebook/dinov2-small",
    "facebook/dinov3-vits16-pretrain-lvd1689m",
    "google/siglip-base-patch16-224",
]


def trained(name, **fields):
    return shuffled(Backbone(BackboneSpec(name, 56 if "14" in name or "dinov2" in name else 64, **TINY, **fields)))


def features(backbone):
    images = torch.randn(2, 1, *[backbone.spec.image_size] * 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return images, backbone.encode(backbone.embed(images)[0])


@pytest.mark.parametrize("name", TIMM)
def test_timm_loads_what_is_saved_for_it_and_so_does_transformers(name, tmp_path):
    backbone = trained(name)
    images, expected = features(backbone)
    save_backbone(backbone, tmp_path / "out", Form.TIMM, EXPECTED)
    again = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True, num_classes=0).eval()
    assert [tuple(again.pretrained_cfg[key]) for key in ("mean", "std")] == list(EXPECTED)
    save_backbone(backbone, tmp_path / "wrapped", Form.TRANSFORMERS, EXPECTED)
    wrapped = AutoModel.from_pretrained(tmp_path / "wrapped").eval()
    with torch.no_grad():
        torch.testing.assert_close(again.forward_features(images), expected)
        torch.testing.assert_close(wrapped(images, do_pooling=False).last_hidden_state, expected)


@pytest.mark.parametrize("name", HUB)
def test_transformers_loads_what_is_saved_for_it(name, tmp_path):
    backbone = trained(name)
    images, expected = features(backbone)
    save_backbone(backbone, tmp_path / "out", Form.TRANSFORMERS, EXPECTED)
    again = AutoModel.from_pretrained(tmp_path / "out").eval()
    options = {}
    if again.config.model_type == "vit_mae":
        again.config.mask_ratio, options["noise"] = 0.0, torch.arange(16.0).expand(2, -1)
    with torch.no_grad():
        torch.testing.assert_close(again(images, **options).last_hidden_state, expected)
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    assert (tuple(processor.image_mean), tuple(processor.image_std)) == EXPECTED
    assert dict(processor.size) == {"height": backbone.spec.image_size, "width": backbone.spec.image_size}


@pytest.mark.parametrize("name", [HUB[2], "vit_tiny_patch16_224"])
@pytest.mark.parametrize("form", list(Form))
def test_radvit_reads_back_what_it_exported(name, form, tmp_path):
    if form is Form.TIMM and "/" in name:
        pytest.skip("timm has no such model")
    backbone = trained(name)
    images, _ = features(backbone)
    place = tmp_path / ("out.safetensors" if form is Form.SAFETENSORS else "out")
    save_backbone(backbone, place, form, EXPECTED)
    again = Backbone(backbone.spec)
    if form is Form.SAFETENSORS:
        weights = Weights("file", read_weights(place), noted(place))
    else:
        weights = Weights("folder", *again.adapter.published(str(place)))
    assert all(
        x == pytest.approx(y)
        for got, want in zip(weights.normalise, EXPECTED, strict=True)
        for x, y in zip(got, want, strict=True)
    )
    again.load(weights, Normalisation((0.5,), (0.25,)))
    values = images * EXPECTED.std[0] + EXPECTED.mean[0]
    with torch.no_grad():
        torch.testing.assert_close(
            again.eval()((values - 0.5) / 0.25).tokens, backbone(images).tokens, rtol=1e-4, atol=1e-5
        )


def test_a_bare_file_has_the_librarys_own_names(tmp_path):
    backbone = trained("vit_tiny_patch16_224")
    save_backbone(backbone, tmp_path / "a" / "vit.safetensors", Form.SAFETENSORS, EXPECTED)
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, in_chans=1, num_classes=0, **TINY)
    model.load_state_dict(load_file(tmp_path / "a" / "vit.safetensors"))
    images, expected = features(backbone)
    with torch.no_grad():
        torch.testing.assert_close(model.eval().forward_features(images), expected)


def test_a_stem_goes_into_a_bare_file_alone(tmp_path):
    backbone = shuffled(Backbone(BackboneSpec("vit_tiny_patch16_224", 64, stem=(8, 16), patch_size=4, **TINY)))
    with pytest.raises(ConfigError, match="a stem is no model of timm; expected --format safetensors"):
        save_backbone(backbone, tmp_path / "out", Form.TIMM, EXPECTED)
    save_backbone(backbone, tmp_path / "out.safetensors", Form.SAFETENSORS, EXPECTED)
    again = Backbone(backbone.spec)
    again.load(Weights("file", read_weights(tmp_path / "out.safetensors"), EXPECTED), EXPECTED)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in backbone.state_dict().items())


def test_wrong_places_and_formats_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"is a model of transformers; expected --format transformers"):
        save_backbone(trained(HUB[0]), tmp_path / "out", Form.TIMM, EXPECTED)
    backbone = trained("vit_tiny_patch16_224")
    with pytest.raises(ConfigError, match=r"expected the name of a \.safetensors file"):
        save_backbone(backbone, tmp_path / "out", Form.SAFETENSORS, EXPECTED)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ConfigError, match="exists already"):
        save_backbone(backbone, tmp_path / "full", Form.TIMM, EXPECTED)
