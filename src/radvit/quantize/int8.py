"""FP32 ONNX to INT8: linear layers quantized on the fly, convolutions with ranges calibrated on training images."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from radvit.bundle import QUANTIZATION, Bundle
from radvit.errors import QuantizeError
from radvit.inference.engine import ONNX_FILES, OnnxEngine
from radvit.models.vit import output_names
from radvit.quantize.export import export_onnx, without_chatter
from radvit.records import FloatArray

log = logging.getLogger(__name__)

CALIBRATION_BATCH = 8
ROUNDS = 15  # interleaved timings of each engine


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantization made. recipe: the one chosen. ms_per_image and megabytes: by precision or recipe."""

    recipe: str
    parity: float
    calibration_images: int
    ms_per_image: dict[str, float]
    megabytes: dict[str, float]

    def rows(self) -> list[tuple[str, ...]]:
        """A table for a terminal: each engine's time and size, and its speed against FP32 in the same run."""
        base = self.ms_per_image["fp32"]
        rows: list[tuple[str, ...]] = [("ONNX Runtime, this machine", "ms/image", "speed", "MB")]
        for name, ms in self.ms_per_image.items():
            chosen = f"{name} (chosen)" if name == self.recipe else name
            rows.append((chosen, f"{ms:.2f}", f"{base / ms:.2f}x", f"{self.megabytes[name]:.2f}"))
        return rows


class Images(CalibrationDataReader):  # type: ignore[misc]
    """Feeds calibration images to ONNX Runtime in batches. images: (N, 1, S, S) float32, normalised."""

    def __init__(self, images: FloatArray) -> None:
        self.batches: Iterator[FloatArray] = iter(
            images[i : i + CALIBRATION_BATCH] for i in range(0, len(images), CALIBRATION_BATCH)
        )

    def get_next(self) -> dict[str, FloatArray] | None:
        """The next batch by input name, None at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}


def dynamic_linear(source: Path, target: Path, _: FloatArray) -> None:
    """Linear layers to INT8 with per-channel weights; activations are quantized as they come."""
    quantize_dynamic(
        str(source), str(target), op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
    )


def hybrid(source: Path, target: Path, images: FloatArray) -> None:
    """Inner convolutions to INT8 with calibrated ranges, then linear layers as in `dynamic_linear`.

    The first convolution and those that give scores and boxes stay FP32: they hold the finest grey-level detail and
    cost little. Attention's own products stay FP32 too: ONNX Runtime's INT8 for them was slower.
    """
    middle = target.with_suffix(".static.onnx")
    quantize_static(
        str(source),
        str(middle),
        Images(images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Relu"],
        nodes_to_exclude=outer_convolutions(source),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    dynamic_linear(middle, target, images)


RECIPES: Mapping[str, Callable[[Path, Path, FloatArray], None]] = {"dynamic_linear": dynamic_linear, "hybrid": hybrid}


def outer_convolutions(path: Path) -> list[str]:
    """Names of the convolutions that read the image or give an output of the model."""
    graph = onnx.load(str(path)).graph
    inputs, outputs = {i.name for i in graph.input}, {o.name for o in graph.output}
    before_output = producers_through(graph, outputs, {"Clip", "Exp", "Mul"})
    return [n.name for n in graph.node if n.op_type == "Conv" and (n.input[0] in inputs or n.name in before_output)]


def producers_through(graph: onnx.GraphProto, names: set[str], elementwise: set[str]) -> set[str]:
    """Names of the nodes that make the given values, looking through elementwise operations."""
    made_by = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None:
            continue
        if node.op_type in elementwise:
            waiting += list(node.input)
        else:
            found.add(node.name)
    return found


def quantize(bundle: Bundle, images: FloatArray) -> Quantized:
    """Export a bundle to ONNX, make every INT8 recipe, and keep the fastest here as model.int8.onnx.

    images: (N, 1, S, S) float32, normalised, from the training split. Writes model.onnx, model.int8.onnx and
    quantization.json beside the weights. Raises QuantizeError where the export or every recipe fails.
    """
    if not len(images):
        raise QuantizeError("no calibration images; expected some from the training split")
    fp32 = bundle.folder / ONNX_FILES["fp32"]
    difference = export_onnx(bundle.model(), fp32)
    with tempfile.TemporaryDirectory(dir=bundle.folder) as scratch:
        made = make_recipes(fp32, Path(scratch), images)
        engines = {name: OnnxEngine(path, output_names(bundle.spec)) for name, path in {"fp32": fp32, **made}.items()}
        speed = interleaved_ms(engines, images[:CALIBRATION_BATCH])
        best = min(made, key=lambda name: speed[name])
        sizes = {name: path.stat().st_size / 1e6 for name, path in {"fp32": fp32, **made}.items()}
        made[best].replace(bundle.folder / ONNX_FILES["int8"])
    result = Quantized(best, difference, len(images), speed, sizes)
    record: dict[str, Any] = {**asdict(result), "weights_sha256": bundle.weights_hash}
    (bundle.folder / QUANTIZATION).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    return result


def make_recipes(fp32: Path, scratch: Path, images: FloatArray) -> dict[str, Path]:
    """Quantized models by recipe. Raises QuantizeError where none could be made."""
    prepared = scratch / "prepared.onnx"
    made: dict[str, Path] = {}
    with without_chatter():
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True, skip_optimization=True)
    for name, recipe in RECIPES.items():
        target = scratch / f"{name}.onnx"
        try:
            with without_chatter():
                recipe(prepared, target, images)
            made[name] = target
        except (ValueError, RuntimeError) as error:
            log.warning("INT8 recipe %s does not fit this model: %s", name, error)
    if not made:
        raise QuantizeError("no INT8 recipe fits this model; the warnings above say why")
    return made


def interleaved_ms(engines: Mapping[str, OnnxEngine], images: FloatArray) -> dict[str, float]:
    """Median milliseconds an image of each engine, timed in turns so that other load falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS + 1):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine(images)
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t[1:]) * 1000 / len(images)) for name, t in times.items()}
