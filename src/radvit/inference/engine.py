"""Engines behind one protocol: a model runs in PyTorch or in ONNX Runtime, and gives the same named outputs.

Arrays go in and arrays come out, so that PyTorch is loaded only where it is what runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf

from radvit.bundle import Bundle
from radvit.errors import BundleError, ConfigError
from radvit.hardware import cores
from radvit.inference.precision import ALL, onnx_file
from radvit.inference.protocols import Answer
from radvit.metrics.calibrated import Calibration
from radvit.models.decode import DecodeSpec, decode, image_scores, mirrored_mean
from radvit.models.decode_mask import MaskSpec, component_boxes, probabilities
from radvit.models.spec import ModelSpec, output_names
from radvit.models.windows import WindowSpec, decode_windows
from radvit.records import Boxes, FloatArray, Task


class Engine(Protocol):
    """Runs a model on a batch. images: (B, 1, S, S) float32, normalised. Returns its outputs, float32, by name."""

    def __call__(self, images: FloatArray) -> dict[str, FloatArray]:
        """Run the batch."""
        ...


class OnnxEngine:
    """ONNX Runtime on the CPU. threads: cores of one call, 0 for all. Raises BundleError where the file is damaged."""

    def __init__(self, path: Path, names: tuple[str, ...], threads: int = 0) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        self.names = names
        try:
            self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
            raise BundleError(f"{path}: can't be opened as an ONNX model ({type(error).__name__})") from error
        self.input = self.session.get_inputs()[0].name

    def __call__(self, images: FloatArray) -> dict[str, FloatArray]:
        """Run the batch."""
        values = self.session.run(list(self.names), {self.input: images})
        return {name: np.asarray(v, np.float32) for name, v in zip(self.names, values, strict=True)}


class SlidingEngine:
    """A model of one window in ONNX Runtime, slid over the image as in PyTorch."""

    def __init__(self, engine: OnnxEngine, spec: WindowSpec) -> None:
        self.engine, self.spec = engine, spec

    def __call__(self, images: FloatArray) -> dict[str, FloatArray]:
        """Logits of all windows, by the name they have in PyTorch. images: (B, C, H, W) float32, normalised."""
        import torch

        from radvit.models.sliding import slide

        (name,) = self.engine.names

        def score(windows: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(self.engine(windows.numpy())[name][:, :, 0, 0])

        return {name: slide(torch.from_numpy(images), self.spec, score).numpy()}


class BundleDetector:
    """An engine with the bundle's decoding and calibration behind it."""

    def __init__(
        self, bundle: Bundle, engine: Engine, spec: DecodeSpec | None = None, masking: MaskSpec | None = None
    ) -> None:
        self.bundle = bundle
        self.engine = engine
        self.spec = spec or bundle.spec.decode
        self.masking = masking or MaskSpec()
        self.calibration = Calibration.from_dict(bundle.calibration)

    def __call__(self, images: FloatArray) -> tuple[FloatArray, list[Boxes]]:
        """Calibrated image scores (B, K) and boxes in model pixels; the boxes are empty for a classifier.

        images: (B, 1, S, S) float32, normalised. A detector's image score comes from its best box in each class, or
        from the lowest score that a box may have where there is none; that of a sliding window from its highest window.
        """
        answer = self.look(images)
        return answer.scores, answer.boxes

    def look(self, images: FloatArray) -> Answer:
        """The same with a segmenter's masks, at the input's resolution."""
        outputs, spec = self.engine(images), self.bundle.spec
        if self.spec.flip:
            outputs = mirrored_mean(outputs, self.engine(np.ascontiguousarray(images[..., ::-1])))
        if spec.task is Task.CLASSIFY:
            raw = image_scores(outputs["logits"], self.bundle.exclusive)
            return Answer(self._of_images(raw), [Boxes.empty() for _ in images])
        if spec.window is not None:
            boxes, raw = decode_windows(outputs["windows"], images.shape[-1], spec.window)
            return self._boxed(boxes, 0.0)._replace(scores=self._of_images(raw))
        if spec.task is Task.DETECT:
            found = decode(outputs, spec.strides, self.spec, spec.detector)
            return self._boxed(found, self.spec.smallest_score)
        chance = probabilities(outputs[f"mask_{spec.strides[0]}"], spec.strides[0])
        answer = self._boxed([component_boxes(one, self.masking) for one in chance], self.masking.faintest)
        return answer._replace(masks=chance >= self.masking.inside)

    def _boxed(self, found: list[Boxes], least: float) -> Answer:
        """Calibrated boxes and image scores. least: the lowest score that a box may have."""
        boxes = [Boxes(b.xyxy, np.asarray(self.calibration.of_boxes(b.scores), np.float32), b.labels) for b in found]
        classes = len(self.bundle.labels)
        if self.calibration.images is None:
            return Answer(np.stack([best_by_class(b, classes) for b in boxes]), boxes)
        raw = np.stack([best_by_class(b, classes, least) for b in found])
        return Answer(self._of_images(raw), boxes)

    def _of_images(self, scores: FloatArray) -> FloatArray:
        return np.asarray(self.calibration.of_images(scores), np.float32)


def best_by_class(boxes: Boxes, classes: int, least: float = 0.0) -> FloatArray:
    """The best score of each class among an image's boxes, `least` where there is none. Returns (classes,) float32."""
    best = np.full(classes, least, np.float32)
    np.maximum.at(best, boxes.labels, boxes.scores)
    return best


def open_engine(bundle: Bundle, precision: str, threads: int = 0) -> Engine:
    """The engine for a precision: fp32, bf16, fp16, int8_torch, fp8 in PyTorch, onnx (FP32), int8 in ONNX Runtime.

    Raises BundleError where the bundle was not exported or quantized, ConfigError where the precision is unknown or
    this machine has none of it.
    """
    if precision in ("onnx", "int8"):
        return open_onnx(bundle, precision, threads)
    if precision not in ALL:
        raise ConfigError(
            f"precision={precision}; expected fp32, bf16, onnx or int8, or fp16, int8_torch, fp8 on a GPU"
        )
    from radvit.inference.torch_engine import open_torch  # takes seconds to load, which ONNX Runtime need not wait for

    return open_torch(bundle, precision, threads)


def open_onnx(bundle: Bundle, precision: str, threads: int = 0) -> Engine:
    """The exported model of a bundle in ONNX Runtime. precision: fp32 (or onnx, the same) or int8."""
    return engine_at(onnx_file(bundle, precision), bundle.spec, threads)


def engine_at(path: Path, spec: ModelSpec, threads: int = 0) -> Engine:
    """An exported model in ONNX Runtime, slid over the image where that is how it looks at one."""
    engine = OnnxEngine(path, output_names(spec), threads)
    return engine if spec.window is None else SlidingEngine(engine, spec.window)
