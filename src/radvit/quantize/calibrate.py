"""What values a model's layers see on training images: ranges of whole tensors, and the largest of each channel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator

from radvit.records import FloatArray

BATCH = 4  # the calibrators hold every layer's values of a batch at once
PERCENTILE = 99.99


class Ranges(Enum):
    """How the range of a tensor is chosen from its values.

    minmax: all of them. percentile: all but 0.01 %. entropy: that which loses least by Kullback and Leibler's
    divergence (Migacz 2017, "8-bit inference with TensorRT").
    """

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


METHODS = {
    Ranges.MINMAX: CalibrationMethod.MinMax,
    Ranges.PERCENTILE: CalibrationMethod.Percentile,
    Ranges.ENTROPY: CalibrationMethod.Entropy,
}


class Images(CalibrationDataReader):  # type: ignore[misc]
    """Feeds calibration images to ONNX Runtime in batches. images: (N, 1, S, S) float32, normalised."""

    def __init__(self, images: FloatArray) -> None:
        self.batches: Iterator[FloatArray] = batches(images)

    def get_next(self) -> dict[str, FloatArray] | None:
        """The next batch by input name, None at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}


def batches(images: FloatArray, size: int = BATCH) -> Iterator[FloatArray]:
    """The images, `size` at a time."""
    return (images[i : i + size] for i in range(0, len(images), size))


def tensor_ranges(model: Path, images: FloatArray, how: Ranges, kinds: Sequence[str]) -> TensorsData:
    """The range of every tensor that nodes of some kinds read or make, as ONNX Runtime's quantizers take them."""
    with tempfile.TemporaryDirectory(prefix="radvit-ranges-") as folder:
        calibrator = create_calibrator(
            model,
            list(kinds),
            augmented_model_path=str(Path(folder) / "watched.onnx"),
            calibrate_method=METHODS[how],
            extra_options={"percentile": PERCENTILE},
        )
        for batch in batches(images):  # histograms are merged after each call, so that memory stays flat
            calibrator.collect_data(Images(batch))
        return calibrator.compute_data()


def channel_maxima(model: onnx.ModelProto, values: Sequence[str], images: FloatArray) -> dict[str, FloatArray]:
    """The largest magnitude of each channel, the last axis, of some values over the images: (C,) by name."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    known = {output.name for output in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in values if name not in known)
    session = ort.InferenceSession(watched.SerializeToString(), quiet_options(), providers=["CPUExecutionProvider"])
    largest: dict[str, Any] = {}
    for batch in batches(images):
        for name, value in zip(values, session.run(list(values), {"images": batch}), strict=True):
            found = np.abs(value).max(axis=tuple(range(value.ndim - 1)))
            largest[name] = np.maximum(largest.get(name, 0.0), found)
    return largest


def quiet_options() -> ort.SessionOptions:
    """Options of a session that warns of nothing: what is quantized here is checked by what comes out."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return options
