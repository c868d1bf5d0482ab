"""Ways to make an INT8 model of an FP32 one, and how far each strays from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

from radvit.inference.engine import Engine
from radvit.plural import counted
from radvit.quantize.balance import balance, balanceable
from radvit.quantize.calibrate import Ranges, channel_maxima, tensor_ranges
from radvit.quantize.graph import Graph, Layer
from radvit.records import FloatArray

LINEAR = ("MatMul", "Gemm")
CALIBRATED = ("Conv", "Relu", *LINEAR)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model becomes INT8. Weights have a scale a channel, in any case.

    ranges: of what layers read, chosen on calibration images; None takes them from each batch as it comes, which needs
    no calibration, but lets an image's answer depend on those beside it. convolutions: quantize them too, always with
    calibrated ranges. balanced: outliers moved into the weights first. kept: names of layers left FP32 beside the outer
    ones. bits: of a weight; 7 where the processor adds products of bytes in 16 bits.
    """

    ranges: Ranges | None = Ranges.MINMAX
    convolutions: bool = True
    balanced: bool = False
    kept: tuple[str, ...] = ()
    bits: int = 8

    @property
    def name(self) -> str:
        """What it is called in tables."""
        words = [f"static {self.ranges.value}" if self.ranges else "dynamic"]
        words += ["linear layers alone"] if not self.convolutions else []
        words += ["balanced"] if self.balanced else []
        words += [f"{counted(len(self.kept), 'more layer')} FP32"] if self.kept else []
        return ", ".join(words)


@dataclass(slots=True)
class Workshop:
    """An FP32 model, ready to be quantized in several ways; what one way has found out, the next one uses.

    folder: for scratch files. images: (N, 1, S, S) float32, normalised, of training images.
    """

    folder: Path
    images: FloatArray
    graph: Graph
    _ranges: dict[tuple[bool, Ranges], TensorsData] = field(default_factory=dict)

    @staticmethod
    def open(fp32: Path, folder: Path, images: FloatArray) -> Workshop:
        """Prepare a model. Raises what ONNX Runtime raises where it can't infer its shapes."""
        plain = folder / "plain.onnx"
        quant_pre_process(str(fp32), str(plain), skip_symbolic_shape=True, skip_optimization=True)
        return Workshop(folder, images, Graph.read(plain))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those that may become INT8: all but the outer ones."""
        outer = self.graph.outer()
        return tuple(layer for layer in self.graph.layers() if layer.name not in outer)

    def model(self, balanced: bool) -> Path:
        """The prepared FP32 model; balanced or not."""
        path = self.folder / ("balanced.onnx" if balanced else "plain.onnx")
        if not path.exists():
            model = onnx.load(str(self.folder / "plain.onnx"))
            outputs = [norm.output[0] for norm, _ in balanceable(Graph(model))]
            balance(model, channel_maxima(model, outputs, self.images))
            onnx.save(model, str(path))
        return path

    def ranges(self, balanced: bool, how: Ranges) -> TensorsData:
        """Ranges of what its layers read, on the calibration images."""
        key = (balanced, how)
        if key not in self._ranges:
            self._ranges[key] = tensor_ranges(self.model(balanced), self.images, how, CALIBRATED)
        return self._ranges[key]

    def make(self, recipe: Recipe, target: Path) -> None:
        """Write the INT8 model of a recipe. Raises ValueError or RuntimeError where it does not fit this model."""
        self.make_of(recipe, [layer.name for layer in self.layers if layer.name not in recipe.kept], target)

    def make_of(self, recipe: Recipe, names: Sequence[str], target: Path) -> None:
        """The same with some layers alone in INT8."""
        chosen = [layer for layer in self.layers if layer.name in set(names)]
        convolutions = [layer for layer in chosen if layer.kind == "Conv" and recipe.convolutions]
        linear = [layer for layer in chosen if layer.kind != "Conv"]
        source = self.model(recipe.balanced)
        static = [*convolutions, *(linear if recipe.ranges else [])]
        if static:
            self._static(recipe, source, static, target)
            source = target
        if linear and recipe.ranges is None:
            self._dynamic(recipe, source, linear, target)
        if not chosen or not (static or linear):
            raise ValueError("the model has no layers to quantize")

    def _static(self, recipe: Recipe, source: Path, layers: Sequence[Layer], target: Path) -> None:
        relus = [
            reader.name
            for layer in layers
            if layer.kind == "Conv"
            for reader in self.graph.readers[output_of(self.graph, layer)]
            if reader.op_type == "Relu"
        ]
        quantizer = QDQQuantizer(
            onnx.load(str(source)),
            per_channel=True,
            reduce_range=recipe.bits == 7,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=self.ranges(recipe.balanced, recipe.ranges or Ranges.MINMAX),
            nodes_to_quantize=[*(layer.name for layer in layers), *relus],
            nodes_to_exclude=[],
            op_types_to_quantize=list(CALIBRATED),
            extra_options={"OpTypesToExcludeOutputQuantization": list(LINEAR), "ActivationSymmetric": False},
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(target), False)

    def _dynamic(self, recipe: Recipe, source: Path, layers: Sequence[Layer], target: Path) -> None:
        quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=list(LINEAR),
            nodes_to_quantize=[layer.name for layer in layers],
            per_channel=True,
            reduce_range=recipe.bits == 7,
            weight_type=QuantType.QInt8,
        )


def output_of(graph: Graph, layer: Layer) -> str:
    """The name of what a layer makes."""
    return next(str(output) for output, node in graph.maker.items() if node.name == layer.name)


def error(expected: Mapping[str, FloatArray], found: Mapping[str, FloatArray]) -> float:
    """How far outputs stray: root mean square of the difference over the standard deviation, of the worst output."""
    return max(
        float(np.sqrt(np.square(found[name] - value).mean()) / max(value.std(ddof=1), 1e-12))
        for name, value in expected.items()
    )


def batch_effect(engine: Engine, images: FloatArray) -> float:
    """How far an image's outputs move when others stand beside it, in standard deviations of the worst output."""
    together = engine(images)
    alone = [engine(images[i : i + 1]) for i in range(len(images))]
    moved = {name: np.concatenate([one[name] for one in alone]) for name in together}
    return max(
        float(np.abs(moved[name] - value).max() / max(float(value.std(ddof=1)), 1e-12))
        for name, value in together.items()
    )
