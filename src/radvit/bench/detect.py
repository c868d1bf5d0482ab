"""How long saved models take for an image, one beside the other in one interleaved run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from radvit.bench.machine import machine
from radvit.bench.paths import make_loader
from radvit.bench.timing import interleaved
from radvit.bundle import Bundle, load_bundle
from radvit.data.phantom import CohortSpec, write_cohort
from radvit.dicom.read import find_files
from radvit.errors import DataError, RadvitError
from radvit.inference.engine import BundleDetector, open_engine
from radvit.records import FloatArray

PACKAGES = ("torch", "timm", "torchvision", "numpy")
ONE_AT_A_TIME = "a window at a time"


@dataclass(frozen=True, slots=True)
class Row:
    """One model. px: side of its images. windows: passes an image takes. ms: of an image, median over the rounds.

    times: how many times as long as the first model it takes, median over the rounds; low, high: its middle 90 %.
    """

    model: str
    px: int
    windows: int
    ms: float
    times: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured."""

    rows: tuple[Row, ...]
    images: int
    repeats: int
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [asdict(row) for row in self.rows]
        return {"rows": rows, "images": self.images, "repeats": self.repeats, "machine": self.machine}


class Timed:
    """A saved model that looks at images one by one, from normalised pixels to calibrated boxes, in PyTorch FP32."""

    def __init__(self, name: str, bundle: Bundle, at_once: int | None = None) -> None:
        """at_once: windows a pass, for a sliding window; None for as many as it takes by itself."""
        if at_once is not None and bundle.spec.window is not None:
            window = replace(bundle.spec.window, at_once=at_once)
            bundle = replace(bundle, spec=replace(bundle.spec, window=window))
        self.name, self.bundle = name, bundle
        self.detector = BundleDetector(bundle, open_engine(bundle, "fp32"))
        self.images: list[FloatArray] = []

    @property
    def windows(self) -> int:
        """Passes of the backbone that one image takes."""
        window = self.bundle.spec.window
        return 1 if window is None else len(window.starts(self.bundle.preprocess.size)) ** 2

    def take(self, pixels: FloatArray) -> None:
        """Prepare an image, (rows, columns) float32 in [0, 1]."""
        square = self.bundle.preprocess.apply(pixels)[0].astype(np.float32)
        self.images.append(self.bundle.preprocess.normalise(square)[None, None])

    def look(self) -> None:
        """Find what the images show, one after the other."""
        for image in self.images:
            self.detector.look(image)


def measure(runs: Sequence[Path], files: Path | None, images: int, repeats: int, one_by_one: bool = False) -> Measured:
    """Time saved models on some images of a folder, or of the phantom where `files` is None.

    In each round every model looks at all images, in turn: a model that has just been woken is not at its speed.
    one_by_one: time each sliding window once more with one window a pass, as it is often written.
    Raises DataError where no image can be read.
    """
    bundles = [load_bundle(run) for run in runs]
    models = [Timed(bundle.name, bundle) for bundle in bundles]
    if one_by_one:
        models += [Timed(f"{b.name}, {ONE_AT_A_TIME}", b, 1) for b in bundles if b.spec.window is not None]
    for pixels in pictures(files, images):
        for model in models:
            model.take(pixels)
    count = len(models[0].images)
    seconds = np.array(interleaved([model.look for model in models], repeats)) / count  # (models, repeats)
    rows = tuple(_row(model, *times) for model, *times in zip(models, seconds, seconds / seconds[0], strict=True))
    return Measured(rows, count, repeats, {**machine(PACKAGES), "threads": torch.get_num_threads()})


def pictures(files: Path | None, most: int) -> list[FloatArray]:
    """Grey pixels of up to `most` images. Raises DataError where none can be read."""
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        if files is None:
            files = Path(made) / "phantom"
            write_cohort(files, CohortSpec.preset(most, 0, hard=True), 1, lambda done, total: None)
        loader, found = make_loader(), list[FloatArray]()
        for file in find_files(files):
            try:
                found += [image.pixels for image in loader.load(file)]
            except RadvitError:
                continue
            if len(found) >= most:
                break
    if not found:
        raise DataError(f"{files}: no image could be read")
    return found[:most]


def _row(model: Timed, seconds: FloatArray, times: FloatArray) -> Row:
    low, middle, high = np.percentile(times, [5, 50, 95])
    px = model.bundle.preprocess.size
    return Row(model.name, px, model.windows, float(np.median(seconds)) * 1e3, float(middle), float(low), float(high))
