"""Weights that other libraries saved give in radvit what they gave there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Dinov2Config,
    Dinov2ForImageClassification,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec, Normalisation, Weights
from radvit.models.backbone.loading import folded

from .conftest import MEAN, MLP, ORIGINALS, SMALL, STD, TIMM, shuffled

SIGLIP_TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
RUN = Normalisation((0.45,), (0.22,))
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def grey(size, mean=MEAN, std=STD):
    """Grey values in [0, 1]: as a run gives them, and in three channels as the original wants them."""
    values = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (mean, std))
    return (values - RUN.mean[0]) / RUN.std[0], (values - mean) / std


def sequence(model, images, **options):
    """The original's own output, tokens in the order of the patches."""
    with torch.no_grad():
        if hasattr(model, "forward_features"):
            return model.forward_features(images)
        if model.config.model_type == "vit_mae":  # its random order undone, since nothing is hidden
            order = torch.arange((images.shape[2] // 16) * (images.shape[3] // 16)).expand(len(images), -1)
            options["noise"] = order.float()
        return model(images, **options).last_hidden_state


def encoded(backbone, images):
    with torch.no_grad():
        features = backbone.eval()(images)
        return backbone.encode(backbone.embed(images)[0]), features


@pytest.mark.parametrize("model_type", ORIGINALS)
def test_features_equal_those_of_transformers(original, model_type):
    model, folder = original(model_type)
    backbone = Backbone(BackboneSpec(str(folder), 64, channels=3), pretrained=True)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    expected = sequence(model, images)
    got, features = encoded(backbone, images)
    torch.testing.assert_close(got, expected, **CLOSE)
    prefix = backbone.prefix
    torch.testing.assert_close(features.summary, expected[:, 0] if prefix else expected.mean(1), **CLOSE)
    torch.testing.assert_close(features.tokens[:, :, 1, 2], expected[:, prefix + 6], **CLOSE)


@pytest.mark.parametrize("model_type", ORIGINALS)
def test_a_grey_image_gives_what_transformers_gives_for_it_in_three_channels(original, model_type):
    model, folder = original(model_type)
    ours, theirs = grey(64)
    backbone = Backbone(BackboneSpec(str(folder), 64), pretrained=True, normalise=RUN)
    torch.testing.assert_close(encoded(backbone, ours)[0], sequence(model, theirs), **CLOSE)


@pytest.mark.parametrize("model_type", ORIGINALS)
def test_another_size_gives_what_transformers_interpolates(original, model_type):
    model, folder = original(model_type)
    options = {"interpolate_pos_encoding": True} if model_type in ("vit", "vit_mae", "siglip_vision_model") else {}
    ours, theirs = grey(96)
    backbone = Backbone(BackboneSpec(str(folder), 96), pretrained=True, normalise=RUN)
    torch.testing.assert_close(encoded(backbone, ours)[0], sequence(model, theirs, **options), **CLOSE)


@pytest.mark.parametrize("rows", [4, 6])
@pytest.mark.parametrize("name", TIMM)
def test_a_grey_image_gives_what_timm_gives_for_it_in_three_channels_at_any_size(original_timm, name, rows):
    model, folder = original_timm(name)  # its positions are those of 4 x 4 patches
    size = rows * model.patch_embed.patch_size[0]
    ours, theirs = grey(size)
    backbone = Backbone(BackboneSpec(str(folder), size), pretrained=True, normalise=RUN)
    torch.testing.assert_close(encoded(backbone, ours)[0], sequence(model, theirs), **CLOSE)


@pytest.mark.parametrize("model_type", ORIGINALS)
def test_a_bare_file_under_the_hubs_names_gives_the_same(original, model_type):
    model, folder = original(model_type)
    ours, theirs = grey(64)
    backbone = Backbone(BackboneSpec(str(folder), 64))
    state = load_file(folder / "model.safetensors")
    loaded = backbone.load(Weights("a file", state, Normalisation(MEAN, STD)), RUN)
    assert not loaded.missing
    torch.testing.assert_close(encoded(backbone, ours)[0], sequence(model, theirs), **CLOSE)


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (lambda: ViTForImageClassification(ViTConfig(**MLP, num_labels=3)), "vit"),
        (lambda: ViTMAEForPreTraining(ViTMAEConfig(**MLP, mask_ratio=0.0)), "vit"),
        (lambda: Dinov2ForImageClassification(Dinov2Config(**SMALL, num_labels=3)), "dinov2"),
        (lambda: SiglipModel(SiglipConfig(text_config=SIGLIP_TEXT, vision_config=MLP)), "vision_model"),
    ],
    ids=["classifier", "mae", "dinov2", "siglip"],
)
def test_the_backbone_of_a_whole_published_model_is_found(model, part, tmp_path):
    whole = shuffled(model())
    whole.save_pretrained(tmp_path)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    expected = sequence(getattr(whole, part), images)
    spec = BackboneSpec(str(tmp_path), 64, channels=3)
    torch.testing.assert_close(encoded(Backbone(spec, pretrained=True), images)[0], expected, **CLOSE)
    bare = Backbone(spec)
    loaded = bare.load(Weights("a file", load_file(tmp_path / "model.safetensors"), None))
    torch.testing.assert_close(encoded(bare, images)[0], expected, **CLOSE)
    assert loaded.left_out
    assert not loaded.missing


@pytest.mark.parametrize("channels", [2, 4])
def test_a_grey_image_in_other_numbers_of_channels_gives_the_same(original, channels):
    model, folder = original("dinov2")
    ours, theirs = grey(64)
    backbone = Backbone(BackboneSpec(str(folder), 64, channels=channels), pretrained=True, normalise=RUN)
    got = encoded(backbone, ours.expand(-1, channels, -1, -1))[0]
    torch.testing.assert_close(got, sequence(model, theirs), **CLOSE)


def test_folding_equals_the_sum_written_out():
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(5, 3, 2, 2, generator=generator), torch.randn(5, generator=generator)
    ours, theirs = grey(6)
    kernel, offset = folded(weight, 1, Normalisation(MEAN, STD), RUN)
    expected = torch.zeros(2, 5, 3, 3)
    for row in range(3):
        for column in range(3):
            patch = theirs[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, :, row, column] = (patch[:, None] * weight).sum((2, 3, 4)) + bias
    got = torch.nn.functional.conv2d(ours, kernel, bias + offset.float(), stride=2)
    torch.testing.assert_close(got, expected, **CLOSE)


def test_without_another_normalisation_channels_are_summed_and_nothing_is_added():
    weight = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    kernel, offset = folded(weight, 1, None, RUN)
    torch.testing.assert_close(kernel, weight.sum(1, keepdim=True))
    assert offset is None


def test_another_patch_size_is_resampled_as_timm_does(original):
    from timm.layers import resample_patch_embed

    model, folder = original("vit")
    backbone = Backbone(BackboneSpec(str(folder), 32, channels=3, patch_size=8), pretrained=True)
    weight = resample_patch_embed(model.embeddings.patch_embeddings.projection.weight.detach(), [8, 8])
    torch.testing.assert_close(backbone.vit.embeddings.patch_embeddings.projection.weight.detach(), weight)
    torch.testing.assert_close(backbone.vit.embeddings.position_embeddings, model.embeddings.position_embeddings)


def cached(home, name, folder):
    """Put a saved folder where the hub's client keeps what it has downloaded."""
    revision = "0" * 40
    place = home / "hub" / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    (place / "snapshots").mkdir()
    (place / "snapshots" / revision).symlink_to(folder, target_is_directory=True)


FROM_CACHE = """
import sys, torch
from radvit.models.backbone import Backbone, BackboneSpec, Normalisation
from radvit.errors import ConfigError
given = torch.load(sys.argv[1], weights_only=True)
for name in ("vit_small_patch16_224", "google/vit-base-patch16-384", "nobody/nothing"):
    try:
        Backbone(BackboneSpec(name, 64), pretrained=True)
    except ConfigError as error:
        print(error)
for name, images in given.items():
    size = images.shape[-1]
    backbone = Backbone(BackboneSpec(name, size), pretrained=True, normalise=Normalisation((0.45,), (0.22,))).eval()
    with torch.no_grad():
        given[name] = backbone.encode(backbone.embed(images)[0])
torch.save(given, sys.argv[1])
"""


def test_a_name_finds_its_weights_in_the_hubs_cache_or_says_that_they_are_not_there(original, original_timm, tmp_path):
    published = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    (tmp_path / "tiny").mkdir()
    save_file(published.state_dict(), tmp_path / "tiny" / "model.safetensors")
    sources = {
        "microsoft/rad-dino": original("dinov2"),
        "google/siglip-base-patch16-224": original("siglip_vision_model"),
        "hf-hub:somebody/their-vit": original_timm("vit_small_patch16_dinov3"),
        "vit_tiny_patch16_224": (published.eval(), tmp_path / "tiny"),
    }
    expected, given = {}, {}
    published.set_input_size(64)
    for name, (model, folder) in sources.items():
        own = {"mean": MEAN, "std": STD} if "/" in name else published.pretrained_cfg
        cached(tmp_path, own.get("hf_hub_id", name.removeprefix("hf-hub:")), folder)
        given[name], theirs = grey(64, own["mean"], own["std"])
        expected[name] = sequence(model, theirs)
    torch.save(given, tmp_path / "images.pt")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    arguments = [sys.executable, "-c", FROM_CACHE, str(tmp_path / "images.pt")]
    done = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)
    got = torch.load(tmp_path / "images.pt", weights_only=True)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, **CLOSE)
    absent = done.stdout.splitlines()
    assert absent[0].startswith("no pretrained weights for vit_small_patch16_224: this machine can't reach them")
    assert absent[1].startswith("model.name=google/vit-base-patch16-384: transformers finds no config.json of it")
    assert (
        absent[2] == "model.name=nobody/nothing: transformers finds no config.json of it, neither here nor on the hub"
    )
    assert "Loading weights" not in done.stderr


def test_the_log_says_what_was_taken_changed_and_left_out(original, caplog):
    caplog.set_level("INFO", "radvit")
    model, folder = original("vit")
    backbone = Backbone(BackboneSpec(str(folder), 96))
    state = {**model.state_dict(), "classifier.weight": torch.zeros(3, 32)}
    del state["layernorm.bias"]
    loaded = backbone.load(Weights("there", state, Normalisation(MEAN, STD)), RUN)
    assert loaded.missing == ("vit.layernorm.bias",)
    assert set(loaded.left_out) == {"classifier.weight", "pooler.dense.weight", "pooler.dense.bias"}
    assert (
        str(loaded)
        == caplog.messages[-1]
        == (
            f"weights from there: {loaded.taken} tensors, positions resampled from 1x17x32 to 1x37x32, "
            "patch embedding from 3 to 1 channels, normalisation folded in, "
            "left out classifier.weight pooler.dense.bias pooler.dense.weight, random still vit.layernorm.bias"
        )
    )


def test_weights_of_which_too_little_fits_are_refused(original):
    model, folder = original("vit")
    backbone = Backbone(BackboneSpec(str(folder), 64))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    few = {name: value for name, value in model.state_dict().items() if "layers.1." not in name}
    with pytest.raises(
        ConfigError, match=r"there fits another model: 16 of 38 weights can't be taken from it, such as"
    ):
        backbone.load(Weights("there", few, None))
    wide = {name: torch.cat([v, v]) for name, v in model.state_dict().items() if "embeddings" not in name}
    with pytest.raises(
        ConfigError, match=r"vit\.layers\.0\.attention\.q_proj\.weight: \(64, 32\), expected \(32, 32\)"
    ):
        backbone.load(Weights("there", wide, None))
    other = {n: torch.cat([v, v]) if n.endswith("fc1.weight") else v for n, v in model.state_dict().items()}
    del other["layernorm.weight"]  # so that transformers' own conversion has a look at it
    with pytest.raises(ConfigError, match=r"there fits another model: 3 of 38 weights"):
        backbone.load(Weights("there", other, None))
    with pytest.raises(ConfigError, match="38 of 38 weights"):
        backbone.load(Weights("there", {"x": torch.zeros(1)}, None))
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_a_folder_of_another_family_is_refused(original):
    _, folder = original("dinov2")
    backbone = Backbone(BackboneSpec("google/vit-base-patch16-224", 64, embed_dim=32, depth=1, num_heads=2))
    with pytest.raises(ConfigError, match=r"is a dinov2; expected a vit, as google/vit-base-patch16-224 is"):
        backbone.adapter.published(str(folder))


def test_published_weights_and_a_stem_exclude_each_other(original):
    _, folder = original("vit")
    with pytest.raises(ConfigError, match=r"published weights have no such stem"):
        Backbone(BackboneSpec(str(folder), 64, stem=(8,), patch_size=16), pretrained=True)


def test_a_stem_keeps_its_runs_normalisation(tmp_path: Path):
    spec = BackboneSpec("vit_tiny_patch16_224", 32, stem=(8, 16), patch_size=2, embed_dim=32, depth=1, num_heads=2)
    source, target = Backbone(spec), Backbone(spec)
    state = {name.removeprefix("vit."): value for name, value in source.state_dict().items()}
    target.load(Weights("a run", state, RUN), RUN)
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())
    with pytest.raises(ConfigError, match=r"trained with data\.mean=0\.45 data\.std=0\.22; set the same"):
        target.load(Weights("a run", state, RUN), Normalisation((0.5,), (0.5,)))
    bare = {name: value for name, value in state.items() if not name.startswith("stem.")}
    with pytest.raises(ConfigError, match=r"these weights have no such stem; set model\.stem=\[\]"):
        target.load(Weights("a file", bare, None), RUN)
