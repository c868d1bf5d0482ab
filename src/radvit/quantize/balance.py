"""Move outliers from a layer's input into its weights, where each channel has a scale of its own.

SmoothQuant (Xiao et al. 2023, arXiv 2211.10438), equation 4. The model says the same in FP32: what a LayerNorm no
longer multiplies its output by, the layers that read it multiply their weights by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from radvit.quantize.graph import Graph
from radvit.records import FloatArray

STRENGTH = 0.5  # alpha: 0 leaves all in the input, 1 moves all into the weights
SMALLEST = 1e-5  # a channel that is always 0 has no outliers to move


def balanceable(graph: Graph) -> Iterator[tuple[onnx.NodeProto, list[onnx.NodeProto]]]:
    """Each LayerNorm that linear layers alone read, and these layers."""
    outputs = {value.name for value in graph.model.graph.output}
    for node in graph.model.graph.node:
        if node.op_type != "LayerNormalization" or node.output[0] in outputs or node.input[1] not in graph.constants:
            continue
        readers = graph.readers[node.output[0]]
        if readers and all(r.op_type == "MatMul" and r.input[1] in graph.constants for r in readers):
            yield node, readers


def balance(model: onnx.ModelProto, largest: Mapping[str, FloatArray], strength: float = STRENGTH) -> int:
    """Balance every LayerNorm of a model, in place. Returns how many.

    largest: largest magnitude of each channel, (C,), of each LayerNorm's output by its name.
    """
    graph = Graph(model)
    found = list(balanceable(graph))
    for norm, readers in found:
        weights = [_array(graph, reader.input[1]) for reader in readers]  # (C, out) each
        of_weights = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
        of_input = np.maximum(largest[norm.output[0]], SMALLEST)
        scale = of_input**strength / np.maximum(of_weights, SMALLEST) ** (1 - strength)
        for place in range(1, len(norm.input)):
            _replace(graph, norm, place, _array(graph, norm.input[place]) / scale)
        for reader, weight in zip(readers, weights, strict=True):
            _replace(graph, reader, 1, weight * scale[:, None])
    return len(found)


def _array(graph: Graph, name: str) -> FloatArray:
    return np.asarray(numpy_helper.to_array(graph.constants[name]), np.float32)


def _replace(graph: Graph, node: onnx.NodeProto, place: int, value: FloatArray) -> None:
    """Give one input of a node other constants; those it shared with other nodes stay as they were."""
    name = node.input[place]
    shared = len(graph.readers[name]) > 1
    new = f"{name}.{node.name}.balanced" if shared else name
    tensor = numpy_helper.from_array(value.astype(np.float32), new)
    if shared:
        graph.model.graph.initializer.append(tensor)
        node.input[place] = new
    else:
        graph.constants[name].CopyFrom(tensor)
