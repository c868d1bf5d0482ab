"""What the predictor plugs together."""

from __future__ import annotations

from typing import Protocol

from radvit.records import Boxes, FloatArray


class Detector(Protocol):
    """A model that is ready to answer, whatever runs it."""

    def __call__(self, images: FloatArray, /) -> tuple[FloatArray, list[Boxes]]:
        """Look at a batch.

        images: (B, 1, S, S) float32, normalised. Returns calibrated image scores (B, K) and each image's boxes, in
        model pixels with calibrated scores; a pure classifier returns empty boxes.
        """
        ...
