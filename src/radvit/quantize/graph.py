"""What quantization needs to know of an ONNX graph: its layers with weights, and which lie at its ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx

LAYERS = ("Conv", "MatMul", "Gemm")
ELEMENTWISE = frozenset(
    {"Add", "Clip", "Exp", "Mul", "Sigmoid", "Squeeze", "Reshape"}
)  # between a last layer and an output


@dataclass(frozen=True, slots=True)
class Layer:
    """A node that multiplies a value by constant weights. kind: its operation. source, weight: names of its inputs."""

    name: str
    kind: str
    source: str
    weight: str


class Graph:
    """A model with its values' makers and readers at hand. constants: its weights by name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.maker = {output: node for node in model.graph.node for output in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for value in node.input:
                self.readers[value].append(node)

    @staticmethod
    def read(path: Path) -> Graph:
        """The graph in a file."""
        return Graph(onnx.load(str(path)))

    def layers(self) -> tuple[Layer, ...]:
        """Every convolution and linear layer, in the graph's order."""
        return tuple(
            Layer(node.name, node.op_type, node.input[0], node.input[1])
            for node in self.model.graph.node
            if node.op_type in LAYERS and node.input[1] in self.constants and node.input[0] not in self.constants
        )

    def outer(self) -> frozenset[str]:
        """Names of the layers that read the model's input or give an output, but for elementwise operations between."""
        inputs = {value.name for value in self.model.graph.input}
        last = self._makers_through(value.name for value in self.model.graph.output)
        return frozenset(layer.name for layer in self.layers() if layer.source in inputs or layer.name in last)

    def _makers_through(self, values: Iterable[str]) -> set[str]:
        """Names of the nodes that make some values, looking through elementwise operations."""
        found: set[str] = set()
        waiting = list(values)
        while waiting:
            node = self.maker.get(waiting.pop())
            if node is None:
                continue
            if node.op_type in ELEMENTWISE:
                waiting += list(node.input)
            else:
                found.add(node.name)
        return found
