import json

import pytest
import torch

from radvit.errors import BundleError
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec, output_names
from radvit.models.vit import RadiographViT
from radvit.records import Task

BACKBONE = BackboneSpec("vit_tiny_patch16_224", 64, stem=(8, 16, 16), patch_size=2, embed_dim=32, depth=2, num_heads=2)


@pytest.mark.parametrize("task", list(Task))
def test_outputs_carry_their_names(task: Task) -> None:
    spec = ModelSpec(task, 3, BACKBONE, strides=(8, 16, 32), width=16)
    outputs = RadiographViT(spec).eval()(torch.zeros(2, 1, 64, 64))
    assert tuple(outputs) == output_names(spec)
    if task is Task.CLASSIFY:
        assert outputs["logits"].shape == (2, 3)
    elif task is Task.SEGMENT:
        assert outputs["mask_8"].shape == (2, 3, 8, 8)
    else:
        assert outputs["score_8"].shape == (2, 3, 8, 8)
        assert outputs["box_32"].shape == (2, 4, 2, 2)
        assert (outputs["box_8"] > 0).all()


def test_an_untrained_detector_is_silent() -> None:
    torch.manual_seed(0)
    spec = ModelSpec(Task.DETECT, 1, BACKBONE, width=16)
    scores = RadiographViT(spec).eval()(torch.randn(2, 1, 64, 64))["score_8"].sigmoid()
    assert scores.max() < 0.05


def test_classify_head_is_linear_relu_dropout_linear() -> None:
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 2, BACKBONE))
    assert [type(layer).__name__ for layer in model.head.layers] == ["Linear", "ReLU", "Dropout", "Linear"]
    assert model.head.layers[0].out_features == 512
    assert model.head.layers[2].p == 0.3


def test_spec_survives_json() -> None:
    spec = ModelSpec(Task.DETECT, 2, BACKBONE, strides=(8, 16))
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_foreign_spec_is_refused() -> None:
    with pytest.raises(BundleError, match="architecture record"):
        ModelSpec.from_dict({**ModelSpec(Task.DETECT, 2, BACKBONE).to_dict(), "wings": 2})
