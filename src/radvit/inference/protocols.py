"""What the predictor plugs together."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from radvit.records import Boxes, FloatArray, Image


class Detector(Protocol):
    """A model that is ready to answer, whatever runs it."""

    def __call__(self, images: FloatArray, /) -> tuple[FloatArray, list[Boxes]]:
        """Look at a batch.

        images: (B, 1, S, S) float32, normalised. Returns calibrated image scores (B, K) and each image's boxes, in
        model pixels with calibrated scores; a pure classifier returns empty boxes.
        """
        ...


class Loads(Protocol):
    """What the predictor needs of `radvit.data.loader.Loader`; must pickle."""

    def load(self, path: Path) -> tuple[Image, ...]:
        """De-identified images of a file, one a frame. Raises RadvitError where there are none to be had."""
        ...
