import math

import pytest
import torch

from radvit.errors import ConfigError
from radvit.models.backbone import BackboneSpec, Features
from radvit.models.heads import ClassifyHead
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task


def head(pool, classes=2):
    torch.manual_seed(0)
    return ClassifyHead(8, classes, 16, 0.0, pool).eval()


def features(tokens, summary=None):
    return Features(torch.zeros(len(tokens), 8) if summary is None else summary, tokens, None)


def test_a_smooth_maximum_lies_between_the_mean_and_the_maximum():
    tokens = 3 * torch.randn(4, 8, 5, 6)
    one = head("lse")
    scores = one.patch_logits(features(tokens))
    assert scores.shape == (4, 2, 5, 6)
    found = one(features(tokens))["logits"].detach()
    scores = scores.detach()
    slow = [
        [math.log(sum(math.exp(5 * float(s)) for s in scores[b, k].flatten()) / 30) / 5 for k in range(2)]
        for b in range(4)
    ]
    torch.testing.assert_close(found, torch.tensor(slow), rtol=1e-4, atol=1e-5)
    assert (found > scores.mean((2, 3))).all()
    assert (found < scores.amax((2, 3))).all()


def test_equal_patches_give_the_image_their_own_logit_however_many_they_are():
    one, token = head("lse"), torch.randn(1, 8, 1, 1)
    for grid in ((1, 1), (3, 4), (32, 32)):
        logits = one(features(token.expand(1, 8, *grid)))["logits"]
        torch.testing.assert_close(logits, one.layers(token[..., 0, 0]), rtol=1e-4, atol=1e-5)


def test_one_patch_among_many_is_heard():
    tokens = torch.zeros(2, 8, 16, 16)
    tokens[1, :, 3, 4] = 8 * torch.randn(8)
    change = {pool: (given := head(pool)(features(tokens))["logits"])[1] - given[0] for pool in ("mean", "lse")}
    assert change["lse"].max() > 10 * change["mean"].abs().max()


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ConfigError, match=r"model\.pool=max; expected one of token, mean, lse"):
        head("max")


def test_a_model_that_scores_patches_exports(tmp_path):
    from radvit.quantize.export import export_onnx

    spec = BackboneSpec("vit_tiny_patch16_224", 32, stem=(8, 16), patch_size=2, embed_dim=32, depth=2, num_heads=2)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 3, spec, hidden=16, pool="lse")).eval()
    export_onnx(model, tmp_path / "model.onnx")  # which refuses what doesn't answer alike
    assert (tmp_path / "model.onnx").is_file()
