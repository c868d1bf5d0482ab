"""How long an image takes a model in each engine and number format, against eager PyTorch in one interleaved run."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from radvit.bench.machine import machine
from radvit.bench.made import batch_of, check, classifier, made_bundle, radiographs
from radvit.bench.timing import interleaved
from radvit.bench.variants import Variant, cpu_variants, cuda_variants
from radvit.bundle import CARD, RECORD, WEIGHTS, Bundle, load_bundle
from radvit.hardware import cpu_features
from radvit.inference.precision import ONNX_FILES
from radvit.models.spec import ModelSpec
from radvit.quantize.int8 import quantize
from radvit.records import FloatArray

PACKAGES = ("torch", "onnxruntime", "timm", "transformers", "numpy", "torchao")
CALIBRATION = 16  # phantom radiographs
LEAST_S = 0.1  # that eager PyTorch's turn in a round takes: short passes are made several times
MIDDLE = (5.0, 50.0, 95.0)  # percentiles over the rounds

Clock = Callable[[], float]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be timed: random weights of a spec, or a saved model in a run folder. Exactly one of the two."""

    name: str
    spec: ModelSpec | None = None
    run: Path | None = None

    def saved(self, folder: Path, pictures: Sequence[FloatArray]) -> Bundle:
        """A bundle below `folder` with its ONNX files, quantized here where it had none.

        Raises BundleError where the run is none, QuantizeError where its model has no ONNX form.
        """
        if self.spec is not None:
            bundle = made_bundle(folder, self.spec)
        else:
            bundle = copied(load_bundle(self.run or Path()), folder)
        if not all((folder / name).is_file() for name in ONNX_FILES.values()):
            quantize(bundle, batch_of(pictures, bundle.preprocess, CALIBRATION), thorough=False)
        return bundle


@dataclass(frozen=True, slots=True)
class Row:
    """One engine and number format. ms_per_image: median over the rounds.

    ratio_to_eager: time of eager PyTorch in FP32, on the same device, over this one's: more than 1 is faster; median
    over the rounds. low, high: its middle 90 %. megabytes: of the model's file. difference: norm of what the outputs
    differ from eager PyTorch's, over the norm of these.
    """

    engine: str
    precision: str
    model: str
    size: int
    batch: int
    ms_per_image: float
    ratio_to_eager: float
    low: float
    high: float
    megabytes: float | None
    difference: float
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured."""

    rows: tuple[Row, ...]
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"rows": [asdict(row) for row in self.rows], "machine": self.machine}


def subjects(models: Sequence[str], sizes: Sequence[int], run: Path | None) -> list[Subject]:
    """What is to be timed: each model at each size, and a saved model at its own.

    Raises ConfigError where a model can't be built, BundleError where the run holds none; nothing is written.
    """
    made = [Subject(name, classifier(name, size)) for name in models for size in sizes]
    for subject in made:
        if subject.spec is not None:
            check(subject.spec)
    return made if run is None else [*made, Subject(load_bundle(run).name, run=run)]


def measure(
    wanted: Sequence[Subject],
    batches: Sequence[int],
    rounds: int,
    threads: int,
    progress: Progress = lambda done, total: None,
    clock: Clock = time.perf_counter,
) -> Measured:
    """Time every subject with every batch. threads: cores of one call. progress: called with (tables done, in all)."""
    pictures, tables = radiographs(max(CALIBRATION, *batches)), list[list[Row]]()
    with with_threads(threads):
        for subject in wanted:
            with TemporaryDirectory(prefix="radvit-bench-") as made:
                bundle = subject.saved(Path(made), pictures)
                devices = [cpu_variants(bundle, threads)]
                if torch.cuda.is_available():
                    devices.append(cuda_variants(bundle))
                for batch in batches:
                    images = batch_of(pictures, bundle.preprocess, batch)
                    for variants in devices:
                        tables.append(timed(subject.name, variants, images, rounds, clock))
                        progress(len(tables), len(wanted) * len(batches) * len(devices))
    return Measured(tuple(itertools.chain(*tables)), facts(threads, rounds))


def timed(
    model: str, variants: Sequence[Variant], images: FloatArray, rounds: int, clock: Clock = time.perf_counter
) -> list[Row]:
    """Rows of one table, from rounds in which each variant has its turn. images: (B, 1, S, S), normalised.

    variants: the first is eager PyTorch in FP32.
    """
    outputs = [variant.run(images) for variant in variants]
    started = clock()
    variants[0].run(images)
    calls = max(1, math.ceil(LEAST_S / max(clock() - started, 1e-9)))
    turns = [lambda v=variant: [v.run(images) for _ in range(calls)] for variant in variants]
    seconds = np.array(interleaved(turns, rounds, clock)) / (calls * len(images))  # (variants, rounds), of an image
    rows = []
    for variant, own, found in zip(variants, seconds, outputs, strict=True):
        low, ratio, high = (float(x) for x in np.percentile(seconds[0] / own, MIDDLE))
        rows.append(
            Row(
                engine=variant.engine,
                precision=variant.precision,
                model=model,
                size=images.shape[-1],
                batch=len(images),
                ms_per_image=float(np.median(own)) * 1e3,
                ratio_to_eager=ratio,
                low=low,
                high=high,
                megabytes=variant.megabytes,
                difference=difference(outputs[0], found),
                device=variant.device,
            )
        )
    return rows


def difference(expected: dict[str, FloatArray], found: dict[str, FloatArray]) -> float:
    """Norm of what outputs differ, over the norm of those expected."""
    one, other = (np.concatenate([outputs[name].ravel() for name in sorted(expected)]) for outputs in (expected, found))
    return float(np.linalg.norm(one - other)) / max(float(np.linalg.norm(one)), 1e-12)


def copied(bundle: Bundle, folder: Path) -> Bundle:
    """The same bundle in another folder, with its ONNX files, so that nothing is written where it lies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, RECORD, CARD, *ONNX_FILES.values()):
        if (bundle.folder / name).is_file():
            shutil.copyfile(bundle.folder / name, folder / name)
    return load_bundle(folder)


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """PyTorch on so many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def facts(threads: int, rounds: int) -> dict[str, str | int]:
    """What it was measured on, and how often."""
    found = {**machine(PACKAGES), "cpu_features": " ".join(cpu_features()), "threads": threads, "rounds": rounds}
    return {**found, "gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else found
