"""Batches as large as memory holds."""

from __future__ import annotations

import logging

import numpy as np

from radvit.inference.protocols import Detector
from radvit.inference.stages import Stages
from radvit.pool import out_of_memory
from radvit.records import Boxes, FloatArray

log = logging.getLogger(__name__)

# what PyTorch and ONNX Runtime say; neither has one type of error for it
WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad alloc",
    "bad_alloc",
)


class Fitting:
    """A detector that looks at a batch in halves where memory doesn't hold it, and from then on at smaller batches.

    size: images a batch now. stages: told of each call.
    """

    def __init__(self, detector: Detector, size: int, stages: Stages) -> None:
        self.detector, self.size, self.stages = detector, size, stages

    def __call__(self, images: FloatArray) -> tuple[FloatArray, list[Boxes]]:
        """As the detector. Raises what it raises where memory doesn't hold a single image."""
        try:
            with self.stages.model(len(images)):
                return self.detector(images)
        except Exception as error:
            if len(images) < 2 or not ran_out(error):
                raise
            half = len(images) // 2
        self.size = max(1, min(self.size, half))
        log.warning("a batch of %d images needs more memory than there is: going on with %d", len(images), self.size)
        parts = [self(images[i : i + half]) for i in range(0, len(images), half)]
        return np.concatenate([scores for scores, _ in parts]), [found for _, boxes in parts for found in boxes]


def ran_out(error: Exception) -> bool:
    """Whether an error says that memory ran out, on the processor or on a GPU."""
    return out_of_memory(error) or any(word in str(error).lower() for word in WORDS)
