"""What merging tokens costs in accuracy and gives in time, on a saved model's own images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from radvit.bench.machine import machine
from radvit.bench.timing import interleaved
from radvit.bundle import Bundle, load_bundle
from radvit.config import DataConfig, EvaluateConfig, SourceKind, SplitName
from radvit.data.samples import Cohort
from radvit.errors import ConfigError, DataError
from radvit.evaluation.evaluate import Metric, evaluate
from radvit.evaluation.predict import model_input
from radvit.inference.engine import Engine, OnnxEngine
from radvit.inference.torch_engine import TorchEngine
from radvit.models.backbone.merging import tokens_by_block
from radvit.models.spec import output_names
from radvit.quantize.export import export_onnx
from radvit.records import FloatArray
from radvit.run.answers import answers
from radvit.run.evaluation import measured_data

PACKAGES = ("torch", "timm", "transformers", "onnxruntime", "numpy")
METRICS = ("froc/cpm", "dice", "auroc", "average_precision")
RESAMPLES, SEED = 1000, 0


@dataclass(frozen=True, slots=True)
class Speed:
    """ms: of an image, median over the rounds. times: how many times as fast as without merging; low, high: 90 %."""

    ms: float
    times: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One share. tokens: patch tokens that each block sees. metrics: value and 95 % interval. speed: by engine."""

    share: float
    tokens: tuple[int, ...]
    metrics: dict[str, tuple[float, float, float]]
    speed: dict[str, Speed]


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured. batch: images of one timed pass."""

    model: str
    split: str
    images: int
    rows: tuple[Row, ...]
    batch: int
    repeats: int
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def measure(
    run: Path, shares: Sequence[float], split: str = "val", batch: int = 8, repeats: int = 9, exported: bool = True
) -> Measured:
    """Measure a saved model with each share of its tokens merged, 0 first, on a split of its own data.

    Accuracy is of PyTorch in FP32, with the calibration of the saved model; times are of whole passes of the network
    over the same images, in turn. exported: time ONNX Runtime, too. Raises ConfigError where shares don't fit.
    """
    wanted = sorted({0.0, *shares})
    bundle = load_bundle(run)
    if bundle.spec.window is not None and exported:
        raise ConfigError("a sliding window is many passes; expected --no-onnx")
    own = EvaluateConfig(checkpoint=str(run), data=DataConfig(kind=SourceKind.run))
    cohort, splits = measured_data(own, bundle)
    indices = splits[SplitName(split).value]
    if not indices:
        raise DataError(f"split={split} holds no image of this data set")
    bundles = [replace(bundle, spec=bundle.spec.merging(share)) for share in wanted]
    engines = [TorchEngine(one.model()) for one in bundles]
    measured = [metrics(one, engine, cohort, indices) for one, engine in zip(bundles, engines, strict=True)]
    images = model_input(cohort, indices[:batch], bundle.preprocess)
    speeds = [{"pytorch": speed} for speed in compared(engines, images, repeats)]
    if exported:
        with TemporaryDirectory(prefix="radvit-bench-") as folder:
            for speed, timed in zip(speeds, in_onnx(bundles, Path(folder), images, repeats), strict=True):
                speed["onnxruntime"] = timed
    seen = [tokens(engine) for engine in engines]
    rows = tuple(map(Row, wanted, seen, measured, speeds))
    on = {**machine(PACKAGES), "threads": torch.get_num_threads()}
    return Measured(bundle.name, split, len(indices), rows, len(images), repeats, on)


def metrics(
    bundle: Bundle, engine: Engine, cohort: Cohort, indices: Sequence[int]
) -> dict[str, tuple[float, float, float]]:
    """What METRICS names, as far as the task has it, from predictions of a whole split."""
    predicted = answers(bundle, engine, cohort, indices)
    found: dict[str, Metric] = evaluate(predicted, None, np.random.default_rng(SEED), RESAMPLES)
    return {name: (found[name].value, found[name].low, found[name].high) for name in METRICS if name in found}


def tokens(engine: TorchEngine) -> tuple[int, ...]:
    """How many patch tokens each block of a model sees."""
    backbone = engine.model.backbone
    patches = (backbone.spec.image_size // backbone.stride) ** 2
    return tuple(tokens_by_block(patches, backbone.spec.merge_tokens, backbone.depth))


def in_onnx(bundles: Sequence[Bundle], folder: Path, images: FloatArray, repeats: int) -> list[Speed]:
    """The same models exported, in as many threads as PyTorch has."""
    engines: list[Engine] = []
    for number, bundle in enumerate(bundles):
        path = folder / f"{number}.onnx"
        export_onnx(bundle.model(), path)
        engines.append(OnnxEngine(path, output_names(bundle.spec), torch.get_num_threads()))
    return compared(engines, images, repeats)


def compared(engines: Sequence[Engine], images: FloatArray, repeats: int) -> list[Speed]:
    """Times of engines on the same images, in turn, the first for a unit.

    In one thread without a GPU they are processor time, which what else the machine does disturbs least.
    """
    calls: list[Callable[[], object]] = [lambda engine=engine: engine(images) for engine in engines]  # type: ignore[misc]
    seconds = np.array(interleaved(calls, repeats, clock())) / len(images)  # (engines, repeats)
    return [_speed(own, seconds[0] / own) for own in seconds]


def clock() -> Callable[[], float]:
    """What times are taken with."""
    single = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time if single else time.perf_counter


def _speed(seconds: npt.NDArray[np.float64], times: npt.NDArray[np.float64]) -> Speed:
    low, middle, high = (float(value) for value in np.percentile(times, [5, 50, 95]))
    return Speed(float(np.median(seconds)) * 1e3, middle, low, high)
