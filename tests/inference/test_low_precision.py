import sys

import numpy as np
import pytest
import torch

from radvit.errors import ConfigError
from radvit.inference.engine import open_engine
from radvit.inference.low_precision import CastEngine, has_fp8, torchao_engine
from radvit.records import Task

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")


@pytest.fixture(scope="module")
def detector(bundle, tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("low"), Task.DETECT, ("nodule", "mass"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((5, 1, 32, 32), np.float32)


def test_a_cast_model_is_close_but_not_the_same(detector, images):
    fp32 = open_engine(detector, "fp32")(images)
    cast = CastEngine(detector.model(), torch.device("cpu"), torch.bfloat16)(images)
    for name, value in fp32.items():
        assert cast[name].dtype == np.float32
        assert 0 < np.abs(cast[name] - value).max() < 0.1 * value.std() + 0.1


def test_torchao_quantizes_the_linear_layers_of_the_backbone(detector, images):
    engine = torchao_engine(detector, "int8_torch", compiled=False)
    half = CastEngine(detector.model(), engine.device, torch.bfloat16)(images)
    for name, value in engine(images).items():
        assert not np.array_equal(value, half[name])
        assert np.abs(value - half[name]).max() < 0.5 * half[name].std() + 0.1


@WITHOUT_GPU
@pytest.mark.parametrize(
    ("precision", "words"),
    [("fp16", "precision=fp16 needs a GPU"), ("fp8", "precision=fp8 needs a GPU with FP8")],
)
def test_what_this_machine_has_none_of_is_refused(detector, precision, words):
    with pytest.raises(ConfigError, match=words):
        open_engine(detector, precision)
    assert not has_fp8(torch.device("cpu"))


def test_without_torchao_it_is_said_how_to_get_it(detector, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(ConfigError, match=r"precision=int8_torch needs torchao: pip install 'radvit\[int8\]'"):
        open_engine(detector, "int8_torch")
