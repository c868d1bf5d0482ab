import copy
import sys

import pytest
import torch
from torch import nn

from radvit import run
from radvit.bundle import load_bundle
from radvit.errors import ConfigError
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.training.int8_aware import make_int8_aware, make_plain

from ..run_place import composed


@pytest.fixture
def model(spec):
    torch.manual_seed(0)
    return RadiographViT(spec(Task.CLASSIFY)).eval()


@pytest.fixture
def images():
    return torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_layers_of_the_backbone_round_and_the_head_does_not(model, images):
    plain = model(images)["logits"]
    linear = sum(isinstance(m, nn.Linear) for m in model.backbone.modules())
    assert make_int8_aware(model) == linear == 8  # two blocks of four
    rounded = model(images)["logits"]
    assert 0 < (rounded - plain).abs().max() < 0.2 * plain.std()
    assert all(type(m) is nn.Linear for m in model.head.modules() if isinstance(m, nn.Linear))


def test_weights_learn_through_the_rounding(model, images):
    make_int8_aware(model)
    model.train()(images)["logits"].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in model.named_parameters() if "qkv.weight" in n)


def test_what_comes_out_is_the_plain_model(model, images):
    before = copy.deepcopy(model)
    make_int8_aware(model)
    assert set(model.state_dict()) == set(before.state_dict())
    make_plain(model)
    torch.testing.assert_close(model.eval()(images)["logits"], before(images)["logits"], rtol=0, atol=0)


def test_training_says_how_many_layers_round_and_leaves_a_plain_bundle(place, caplog):
    with caplog.at_level("INFO", "radvit"):
        run.train(place.classify("aware", "int8_aware=true", "trainer.max_epochs=1"))
    assert "8 layers rounded as INT8 will" in caplog.text
    bundle = load_bundle(place.folder / "aware")
    assert bundle.trained["int8_aware"] is True
    assert all(type(m) in (nn.Linear, nn.LazyLinear) for m in bundle.model().modules() if isinstance(m, nn.Linear))


def test_adapters_cannot_round(tmp_path):
    with pytest.raises(ConfigError, match=r"int8_aware=true with model\.adapt=lora"):
        composed("train", "experiment=pneumoniamnist", "int8_aware=true", "model.adapt=lora", f"run_dir={tmp_path}")


def test_without_torchao_it_is_said_how_to_get_it(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(ConfigError, match=r"int8_aware=true needs torchao: pip install 'radvit\[int8\]'"):
        make_int8_aware(model)
