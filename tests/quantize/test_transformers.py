"""Vision Transformers of transformers, and merged LoRA, in ONNX and INT8."""

import numpy as np
import pytest
import torch

from radvit.bundle import Bundle, Scope, save_bundle
from radvit.data.preprocess import Preprocess
from radvit.inference.engine import open_engine, open_onnx
from radvit.models.adapt import Adapt, LoraSpec, adapt, merge
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.quantize.int8 import quantize
from radvit.records import Task


@pytest.mark.parametrize("name", ["microsoft/rad-dino", "facebook/dinov3-vits16-pretrain-lvd1689m"])
def test_a_vit_of_transformers_goes_through_onnx_and_int8(name, tmp_path):
    torch.manual_seed(0)
    size = 56 if "rad-dino" in name else 64
    spec = BackboneSpec(name, size, embed_dim=32, depth=2, num_heads=2)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 2, spec, hidden=16))
    adapt(model.backbone, Adapt.LORA, LoraSpec(4))
    for parameter in model.backbone.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    merge(model.backbone)
    saved = save_bundle(Bundle(tmp_path, model.spec, ("a", "b"), False, Preprocess(size), Scope()), model, "")
    images = np.random.default_rng(0).standard_normal((12, 1, size, size)).astype(np.float32)
    result = quantize(saved, images[:8])
    assert result.parity.holds
    fp32 = open_engine(saved, "fp32")(images)["logits"]
    np.testing.assert_allclose(open_onnx(saved, "fp32")(images)["logits"], fp32, rtol=1e-3, atol=1e-4)
    spread = fp32.std()
    assert 0 < np.abs(open_engine(saved, "int8")(images)["logits"] - fp32).max() < 0.5 * spread
