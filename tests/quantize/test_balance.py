import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from radvit.inference.engine import OnnxEngine
from radvit.quantize.balance import balance, balanceable
from radvit.quantize.calibrate import channel_maxima
from radvit.quantize.graph import Graph
from radvit.quantize.recipes import Recipe, error
from radvit.records import Task


def outputs(path, images, names=("logits",)):
    return OnnxEngine(path, names)(images)


def scale(graph, node, place, factor):
    """Scale entry 3 of a constant that a node reads, in a copy of its own: many norms share theirs."""
    value = numpy_helper.to_array(graph.constants[node.input[place]]).copy()
    value[3] *= factor
    node.input[place] = f"{node.name}.{place}.scaled"
    graph.model.graph.initializer.append(numpy_helper.from_array(value, node.input[place]))


def with_outliers(path, target, factor):
    """A copy of a model in which one channel of each LayerNorm is larger, and what reads it makes up for that."""
    graph = Graph.read(path)
    for norm, readers in list(balanceable(graph)):
        scale(graph, norm, 1, factor)
        scale(graph, norm, 2, factor)
        for reader in readers:
            scale(graph, reader, 1, 1 / factor)
    onnx.save(graph.model, str(target))
    return target


def norms(model):
    return [norm.output[0] for norm, _ in balanceable(Graph(model))]


def test_a_balanced_model_says_the_same_in_fp32(exported_models, images, tmp_path):
    path = exported_models[Task.CLASSIFY][1]
    model = onnx.load(str(path))
    names = norms(model)
    count = balance(model, channel_maxima(model, names, images))
    assert count == len(names) == 4  # two in each of two blocks; the last norm is read by the pooling
    onnx.save(model, str(tmp_path / "balanced.onnx"))
    before, after = (outputs(p, images)["logits"] for p in (path, tmp_path / "balanced.onnx"))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_input_and_weights_meet_in_the_middle(exported_models, images):
    model = onnx.load(str(exported_models[Task.CLASSIFY][1]))
    names = norms(model)
    balance(model, channel_maxima(model, names, images))
    graph = Graph(model)
    after = channel_maxima(model, names, images)
    for norm, readers in balanceable(graph):
        weights = [numpy_helper.to_array(graph.constants[reader.input[1]]) for reader in readers]
        of_weights = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
        np.testing.assert_allclose(after[norm.output[0]], of_weights, rtol=1e-3)  # at a strength of one half


def test_outliers_cost_less_once_they_are_balanced(exported_models, images, workshop, tmp_path, monkeypatch):
    plain = exported_models[Task.CLASSIFY][1]
    spoiled = with_outliers(plain, tmp_path / "outliers.onnx", 200.0)
    np.testing.assert_allclose(outputs(spoiled, images)["logits"], outputs(plain, images)["logits"], atol=1e-3)
    monkeypatch.setitem(exported_models, Task.CLASSIFY, (None, spoiled))
    bench = workshop(Task.CLASSIFY)
    strays = {}
    for balanced in (False, True):
        bench.make(Recipe(balanced=balanced), tmp_path / "int8.onnx")
        strays[balanced] = error(outputs(spoiled, images), outputs(tmp_path / "int8.onnx", images))
    assert strays[True] < strays[False] / 3


def test_constants_shared_with_another_node_stay_as_they_were(exported_models, images):
    model = onnx.load(str(exported_models[Task.CLASSIFY][1]))
    (first, _), (second, _) = list(balanceable(Graph(model)))[:2]
    first.input[1], first.input[2] = second.input[1], second.input[2]
    shared = second.input[1]
    before = numpy_helper.to_array(Graph(model).constants[shared]).copy()
    names = norms(model)
    balance(model, channel_maxima(model, names, images))
    np.testing.assert_array_equal(numpy_helper.to_array(Graph(model).constants[shared]), before)


@pytest.mark.parametrize("task", [Task.DETECT, Task.SEGMENT])
def test_every_task_has_norms_to_balance(exported_models, task):
    assert len(list(balanceable(Graph.read(exported_models[task][1])))) == 4
