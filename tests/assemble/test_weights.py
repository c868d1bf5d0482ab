import json
import logging

import pytest
import timm
import torch
from safetensors.torch import save_file

from radvit import assemble
from radvit.assemble.weights import trained_backbone, weights_at
from radvit.bundle import RECORD, WEIGHTS, load_bundle
from radvit.config import ModelConfig, TaskName
from radvit.errors import BundleError, ConfigError
from radvit.models.backbone import Backbone, BackboneSpec, Normalisation
from radvit.records import Task

MINI = {"name": "vit_tiny_patch16_224", "embed_dim": 32, "depth": 2, "num_heads": 2}
OF_BUNDLE = {**MINI, "stem": [8, 16], "patch_size": 2}  # what the shared bundle fixture is
HALF = Normalisation((0.5,), (0.25,))  # and what it was trained with


def build(size=32, normalise=HALF, **fields):
    torch.manual_seed(7)
    return assemble.model(ModelConfig(TaskName.classify, hidden=8, **fields), size, 2, normalise)


def same(backbone, state):
    own = backbone.state_dict()
    return all(torch.equal(own[name], value) for name, value in state.items())


@pytest.fixture
def run(bundle, tmp_path):
    """A run folder with its bundle, as train.py leaves one."""
    return bundle(tmp_path / "run" / "bundle", Task.DETECT).folder.parent


@pytest.fixture
def encoder(tmp_path):
    """What a pretraining run leaves: a backbone with a record, and no head."""
    torch.manual_seed(1)
    backbone = Backbone(BackboneSpec(MINI["name"], 64, embed_dim=32, depth=2, num_heads=2))
    folder = tmp_path / "mae" / "encoder"
    folder.mkdir(parents=True)
    save_file({f"backbone.{name}": value for name, value in backbone.state_dict().items()}, folder / WEIGHTS)
    spec = {**MINI, "image_size": 64, "channels": 1, "stem": [], "patch_size": None, "drop_path": 0.0}
    record = {"backbone": spec, "preprocess": {"size": 64, "mean": 0.4, "std": 0.2}}
    (folder / RECORD).write_text(json.dumps(record))
    return folder.parent, backbone


@pytest.mark.parametrize("place", ["", "bundle", "bundle/model.safetensors"])
def test_a_model_starts_from_a_run_its_bundle_or_its_file(run, place, caplog):
    caplog.set_level(logging.INFO, "radvit")
    expected = load_bundle(run).model().backbone.state_dict()
    model = build(weights=str(run / place), **OF_BUNDLE)
    assert same(model.backbone, expected)
    assert [m for m in caplog.messages if m.startswith(f"weights from {run}")]


def test_a_stem_asks_for_the_normalisation_it_was_trained_with(run):
    with pytest.raises(ConfigError, match=r"trained with data\.mean=0\.5 data\.std=0\.25; set the same"):
        build(weights=str(run), normalise=Normalisation((0.4,), (0.25,)), **OF_BUNDLE)


@pytest.mark.parametrize("place", ["", "encoder", "encoder/model.safetensors"])
def test_a_model_starts_from_a_pretrained_encoder_at_another_size_and_normalisation(encoder, place):
    folder, backbone = encoder
    values = torch.rand(2, 1, 64, 64)
    model = build(64, weights=str(folder / place), **MINI).eval()
    with torch.no_grad():
        expected = backbone.eval()((values - 0.4) / 0.2).tokens
        torch.testing.assert_close(model.backbone((values - 0.5) / 0.25).tokens, expected, rtol=1e-4, atol=1e-5)
    assert build(96, weights=str(folder / place), **MINI).backbone.vit.pos_embed.shape[1] == 1 + 36


def test_a_checkpoint_of_timm_is_normalised_as_its_name_says(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model(MINI["name"], img_size=64, num_classes=3, embed_dim=32, depth=2, num_heads=2).eval()
    torch.save({"state_dict": model.state_dict(), "epoch": 1}, tmp_path / "best.pth.tar")
    save_file(model.state_dict(), tmp_path / "best.safetensors")
    values = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        expected = model.forward_features((values.expand(-1, 3, -1, -1) - 0.5) / 0.5)  # ViT-Ti's own mean and std
        for name in ("best.pth.tar", "best.safetensors"):
            backbone = build(64, weights=str(tmp_path / name), **MINI).eval().backbone
            got = backbone.encode(backbone.embed((values - 0.5) / 0.25)[0])
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_paths_without_weights_are_refused(tmp_path, run):
    backbone = build(64, **MINI).backbone
    with pytest.raises(ConfigError, match=r"model\.weights=.*nowhere does not exist"):
        weights_at(tmp_path / "nowhere", backbone)
    with pytest.raises(ConfigError, match=r"neither a finished run in it, with bundle or encoder, nor a config\.json"):
        weights_at(tmp_path, backbone)
    record = json.loads((run / "bundle" / RECORD).read_text())
    (run / "bundle" / RECORD).write_text(json.dumps({**record, "preprocess": None}))
    with pytest.raises(ConfigError, match="does not say how its model's images were normalised"):
        weights_at(run, backbone)


def test_the_trained_backbone_of_a_run_or_an_encoder(run, encoder):
    backbone, normalise = trained_backbone(run)
    assert same(backbone, load_bundle(run).model().backbone.state_dict())
    assert normalise == HALF
    backbone, normalise = trained_backbone(encoder[0])
    assert same(backbone, encoder[1].state_dict())
    assert normalise == Normalisation((0.4,), (0.2,))


def test_what_is_no_run_has_no_backbone(tmp_path, encoder):
    with pytest.raises(BundleError, match="is no run"):
        trained_backbone(tmp_path)
    (encoder[0] / "encoder" / RECORD).write_text('{"backbone": 3}')
    with pytest.raises(BundleError, match="not a record of a model"):
        trained_backbone(encoder[0])
