import timm
import torch
from safetensors.torch import load_file

from radvit.bundle import Bundle, Scope, save_bundle
from radvit.data.preprocess import Preprocess
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task


def test_a_runs_backbone_is_exported_and_what_it_expects_is_said(tmp_path, ran):
    torch.manual_seed(0)
    backbone = BackboneSpec("vit_tiny_patch16_224", 64, embed_dim=32, depth=2, num_heads=2)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 1, backbone, hidden=8)).eval()
    preprocess = Preprocess(64, 0.4, 0.2)
    save_bundle(Bundle(tmp_path / "run" / "bundle", model.spec, ("a",), False, preprocess, Scope()), model, "")
    code, out, _ = ran("weights", "export", "run", "out", "--format", "timm")
    assert (code, out) == (
        0,
        [
            "wrote out: vit_tiny_patch16_224, 64 px, 1 channel",
            "it expects grey values in [0, 1] less 0.4, divided by 0.2",
        ],
    )
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = model.backbone.encode(model.backbone.embed(images)[0])
        again = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
        torch.testing.assert_close(again.forward_features(images), expected)
    assert ran("weights", "export", "run/bundle", "vit.safetensors")[0] == 0
    assert torch.equal(load_file(tmp_path / "vit.safetensors")["pos_embed"], model.backbone.vit.pos_embed)


def test_what_can_not_be_exported_is_said_in_a_line(tmp_path, ran, bundle):
    bundle(tmp_path / "run", Task.CLASSIFY)
    assert ran("weights", "export", "nowhere", "out.safetensors")[0::2] == (
        2,
        ["radvit: nowhere is no run: no model.json with model.safetensors in it"],
    )
    code, _, err = ran("weights", "export", "run", "out", "--format", "transformers")
    assert (code, err) == (
        2,
        ["radvit: a backbone with a stem is no model of transformers; expected --format safetensors"],
    )
