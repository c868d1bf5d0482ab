"""A detector as articles publish it: scikit-image's preprocessing, and a classifier at every place of a window."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import torch
from pydicom.pixels import pixel_array
from torch import nn

from radvit.bench.paths import Resize, skimage_resize
from radvit.errors import ConfigError
from radvit.records import FloatArray

SIDE, STRIDE = 128, 64  # of the window, pixels of the image
INPUT = 224  # side that a window is resized to, as ViT-Base takes it
MEAN, STD = 0.5, 0.5

FILE_STAGES = ("read", "decode", "preprocess")
WINDOW_STAGES = ("window", "model")

Window = tuple[int, int]  # its upper left corner, row and column


def windows(rows: int, columns: int, side: int = SIDE, stride: int = STRIDE) -> list[Window]:
    """Corners of the windows that lie whole in an image, row by row; one where the image is smaller than a window."""
    starts = (range(0, max(length - side, 0) + 1, stride) for length in (rows, columns))
    down, across = starts
    return [(row, column) for row in down for column in across]


@dataclass(frozen=True, slots=True)
class Article:
    """The published way, with a model that gives logits for (1, channels, 224, 224), in FP32, a window at a time.

    Raises ConfigError, as it is made, where scikit-image isn't installed.
    """

    model: nn.Module
    clock: Callable[[], float] = time.perf_counter
    resize: Resize = field(default_factory=skimage_resize)

    def opened(self, path: Path) -> tuple[FloatArray, dict[str, float]]:
        """Grey values in [0, 1] of a file, (rows, columns) float32, and the seconds of FILE_STAGES."""
        from skimage.exposure import rescale_intensity

        started = self.clock()
        dataset = pydicom.dcmread(path)
        read = self.clock()
        stored = pixel_array(dataset)
        decoded = self.clock()
        if stored.ndim != 2:
            raise ConfigError(f"an image of shape {stored.shape}; expected grey, and one frame")
        grey: FloatArray = rescale_intensity(stored.astype(np.float32), out_range=(0.0, 1.0))
        grey = 1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey
        moments = (started, read, decoded, self.clock())
        return grey, dict(zip(FILE_STAGES, np.diff(moments).tolist(), strict=True))

    def look(self, grey: FloatArray, places: Sequence[Window]) -> tuple[FloatArray, dict[str, float]]:
        """Logits (N, K) float32 of the windows at N places, and the seconds of WINDOW_STAGES, each for all of them."""
        seconds, found = dict.fromkeys(WINDOW_STAGES, 0.0), []
        for row, column in places:
            started = self.clock()
            cut = grey[row : row + SIDE, column : column + SIDE]
            ready = (self.resize(cut, (INPUT, INPUT), anti_aliasing=True) - MEAN) / STD
            batch = torch.from_numpy(np.asarray(ready, np.float32)[None, None])
            prepared = self.clock()
            with torch.no_grad():
                found.append(self.model(batch)["logits"].numpy())
            seconds["window"] += prepared - started
            seconds["model"] += self.clock() - prepared
        return np.concatenate(found), seconds
