import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from radvit.quantize.graph import Graph
from radvit.records import Task

OUTER = {Task.CLASSIFY: 2, Task.DETECT: 3, Task.SEGMENT: 2}  # the first, and a detector's two last, else the last


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_the_outer_layers_read_the_image_or_give_an_output(exported_models, task):
    graph = Graph.read(exported_models[task][1])
    kinds = {layer.name: layer.kind for layer in graph.layers()}
    assert len(graph.outer()) == OUTER[task]
    assert {kinds[name] for name in graph.outer()} <= {"Conv", "Gemm"}
    first = next(layer for layer in graph.layers() if layer.source == "images")
    assert first.name in graph.outer()


def test_products_of_two_computed_values_are_no_layers(exported_models):
    graph = Graph.read(exported_models[Task.CLASSIFY][1])
    products = [node.name for node in graph.model.graph.node if node.op_type == "MatMul"]
    linear = {layer.name for layer in graph.layers() if layer.kind == "MatMul"}
    assert linear < set(products)  # attention multiplies queries by keys, and weights by values
    assert len(products) - len(linear) == 2 * 2  # in each of two blocks


def test_a_last_layer_is_seen_through_elementwise_operations():
    weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="first"),
        helper.make_node("Softmax", ["a"], ["b"], name="softmax"),
        helper.make_node("MatMul", ["b", "w"], ["c"], name="middle"),
        helper.make_node("Softmax", ["c"], ["d"], name="between"),
        helper.make_node("MatMul", ["d", "w"], ["e"], name="last"),
        helper.make_node("Exp", ["e"], ["f"], name="exp"),
        helper.make_node("Clip", ["f"], ["y"], name="clip"),
    ]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy"]
    graph = Graph(helper.make_model(helper.make_graph(nodes, "g", value[:1], value[1:], [weight])))
    assert graph.outer() == {"first", "last"}
    assert isinstance(graph.model, onnx.ModelProto)
