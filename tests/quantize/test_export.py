import copy
import dataclasses

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from radvit.errors import QuantizeError
from radvit.models.stem import ResidualBlock
from radvit.models.vit import RadiographViT, output_names
from radvit.quantize import export
from radvit.quantize.export import TOLERANCE, export_onnx, parity
from radvit.records import Task


@pytest.fixture(scope="module", params=list(Task), ids=lambda task: task.value)
def exported(request, bundle, tmp_path_factory):
    """A model, the folder it was exported into, and the difference found."""
    folder = tmp_path_factory.mktemp("export")
    model = bundle(folder / "bundle", request.param, ("a", "b")).model()
    return model, folder, export_onnx(model, folder / "model.onnx")


def tamper(path, factor):
    """Scale one weight of an exported model."""
    graph = onnx.load(str(path))
    largest = max(graph.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * np.float32(factor), largest.name))
    onnx.save(graph, str(path))


def test_an_export_agrees_and_takes_any_batch(exported):
    model, folder, difference = exported
    assert 0 <= difference <= TOLERANCE
    graph = onnx.load(str(folder / "model.onnx")).graph
    assert [i.name for i in graph.input] == ["images"]
    assert tuple(o.name for o in graph.output) == output_names(model.spec)
    shape = graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [d.dim_value for d in shape][1:] == [1, 32, 32]
    assert [path.name for path in folder.glob("model.onnx*")] == ["model.onnx"]  # weights are inside


def test_parity_is_relative_to_the_spread_of_the_outputs(exported):
    model, folder, _ = exported
    path = folder / "model.onnx"
    images = np.random.default_rng(1).standard_normal((4, 1, 32, 32), np.float32)
    assert parity(model, path, images) < TOLERANCE
    name = output_names(model.spec)[0]
    heads = {Task.DETECT: "score", Task.SEGMENT: "mask"}
    task = model.spec.task
    last = getattr(model.head, heads[task]) if task in heads else model.head.layers[-1]
    moved = copy.deepcopy(last.bias.data)
    with torch.no_grad():
        spread = model(torch.from_numpy(images))[name].std()
        last.bias += 2.0
    assert parity(model, path, images) == pytest.approx(float(2.0 / spread), rel=0.25)
    last.bias.data = moved


def test_an_export_that_disagrees_is_refused_and_leaves_no_file(bundle, tmp_path, monkeypatch):
    model = bundle(tmp_path / "bundle", Task.CLASSIFY).model()
    write = torch.onnx.export

    def write_wrongly(*args, **options):
        write(*args, **options)
        tamper(tmp_path / "model.onnx", 1.5)

    monkeypatch.setattr(export.torch.onnx, "export", write_wrongly)
    with pytest.raises(QuantizeError, match=r"ONNX differs from PyTorch by .* expected <= 0\.001"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_trained_batch_normalisation_is_exported_as_it_stands(spec, tmp_path):
    torch.manual_seed(0)
    model = RadiographViT(spec(Task.DETECT)).train()
    with torch.no_grad():
        for _ in range(3):
            model(3 + 2 * torch.randn(4, 1, 32, 32))
    assert export_onnx(model, tmp_path / "model.onnx") <= TOLERANCE


def test_a_residual_stem_is_exported_as_it_stands(spec, tmp_path):
    torch.manual_seed(0)
    small = spec(Task.CLASSIFY)
    model = RadiographViT(dataclasses.replace(small, backbone=dataclasses.replace(small.backbone, stem_blocks=1)))
    with torch.no_grad():
        for _ in range(3):
            model(3 + 2 * torch.randn(4, 1, 32, 32))
    for layer in model.backbone.stem.modules():
        if isinstance(layer, ResidualBlock):
            torch.nn.init.ones_(layer.branch[4].weight)
    assert export_onnx(model, tmp_path / "model.onnx") <= TOLERANCE
