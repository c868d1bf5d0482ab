"""What the predictor plugs together."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from radvit.records import Boxes, FloatArray


class Detector(Protocol):
    """A model that is ready to answer, whatever runs it."""

    def __call__(self, images: FloatArray, /) -> tuple[FloatArray, list[Boxes]]:
        """Look at a batch.

        images: (B, 1, S, S) float32, normalised. Returns calibrated image scores (B, K) and each image's boxes, in
        model pixels with calibrated scores; a pure classifier returns empty boxes.
        """
        ...


class Answer(NamedTuple):
    """What a model says of a batch. scores, boxes: as a Detector gives them. masks: (B, K, S, S) bool, or None."""

    scores: FloatArray
    boxes: list[Boxes]
    masks: npt.NDArray[np.bool_] | None = None


class Segmenter(Protocol):
    """A model that is ready to answer with masks too."""

    def look(self, images: FloatArray, /) -> Answer:
        """Look at a batch; images: as a Detector takes them."""
        ...


class Explained(NamedTuple):
    """Where a classifier looked on one image.

    heat: (S, S) in [0, 1], of the likeliest class; all 0 where it is flat. label: that class, None for a map without a
    class. boxes: around where it looked, in model pixels, each class by itself.
    """

    heat: FloatArray
    label: int | None
    boxes: Boxes


class Explain(Protocol):
    """Says where a classifier looked."""

    def __call__(self, image: FloatArray, scores: FloatArray, /) -> Explained:
        """Explain one image: (1, S, S) float32, normalised. scores: (K,) calibrated, as the classifier gave them."""
        ...
