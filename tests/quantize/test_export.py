import copy
import dataclasses

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from radvit.errors import QuantizeError
from radvit.models.spec import output_names
from radvit.models.stem import ResidualBlock
from radvit.models.vit import RadiographViT
from radvit.quantize import export
from radvit.quantize.export import LOGITS_APART, Parity, apart, export_onnx, parity
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
    assert difference.holds
    assert 0 < difference.logits <= LOGITS_APART
    assert (difference.pixels > 0) is (model.spec.task is Task.DETECT)
    graph = onnx.load(str(folder / "model.onnx")).graph
    assert [i.name for i in graph.input] == ["images"]
    assert tuple(o.name for o in graph.output) == output_names(model.spec)
    shape = graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [d.dim_value for d in shape][1:] == [1, 32, 32]
    assert [path.name for path in folder.glob("model.onnx*")] == ["model.onnx"]  # weights are inside


def test_parity_is_the_largest_difference_of_any_logit(exported):
    model, folder, _ = exported
    images = np.random.default_rng(1).standard_normal((4, 1, 32, 32), np.float32)
    assert parity(model, folder / "model.onnx", images).holds
    heads = {Task.DETECT: "score", Task.SEGMENT: "mask"}
    task = model.spec.task
    last = getattr(model.head, heads[task]) if task in heads else model.head.layers[-1]
    before = copy.deepcopy(last.bias.data)
    with torch.no_grad():
        last.bias += 0.25
    moved = parity(model, folder / "model.onnx", images)
    last.bias.data = before
    assert moved.logits == pytest.approx(0.25, rel=1e-3)
    assert not moved.holds


def test_boxes_are_compared_in_pixels_and_everything_else_in_logits():
    expected = {"score_8": torch.zeros(1, 1, 2, 2), "box_8": torch.zeros(1, 4, 2, 2)}
    found = {"score_8": torch.full((1, 1, 2, 2), 5e-5), "box_8": torch.full((1, 4, 2, 2), -0.4)}
    assert apart(expected, found) == Parity(pytest.approx(5e-5), pytest.approx(0.4))
    assert apart(expected, found).holds
    assert not apart(expected, {**found, "box_8": torch.full((1, 4, 2, 2), 0.6)}).holds
    assert not apart(expected, {**found, "score_8": torch.full((1, 1, 2, 2), 2e-4)}).holds


def test_an_export_that_gives_no_numbers_is_not_taken_for_its_original():
    broken = {"logits": torch.full((1, 2), torch.nan)}
    assert not apart({"logits": torch.zeros(1, 2)}, broken).holds


def test_given_images_are_compared_too(exported, tmp_path):
    model, _, _ = exported
    images = np.random.default_rng(2).standard_normal((3, 1, 32, 32)).astype(np.float32)
    assert export_onnx(model, tmp_path / "model.onnx", images).holds


def test_an_export_that_disagrees_is_refused_and_leaves_no_file(bundle, tmp_path, monkeypatch):
    model = bundle(tmp_path / "bundle", Task.CLASSIFY).model()
    write = torch.onnx.export

    def write_wrongly(*args, **options):
        write(*args, **options)
        tamper(tmp_path / "model.onnx", 1.5)

    monkeypatch.setattr(export.torch.onnx, "export", write_wrongly)
    with pytest.raises(
        QuantizeError, match=r"ONNX differs from PyTorch by .* in a logit and .* expected at most 0\.0001 and 0\.5 px"
    ):
        export_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_trained_batch_normalisation_is_exported_as_it_stands(spec, tmp_path):
    torch.manual_seed(0)
    model = RadiographViT(spec(Task.DETECT)).train()
    with torch.no_grad():
        for _ in range(3):
            model(3 + 2 * torch.randn(4, 1, 32, 32))
    assert export_onnx(model, tmp_path / "model.onnx").holds


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
    assert export_onnx(model, tmp_path / "model.onnx").holds
