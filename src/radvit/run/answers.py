"""What a bundle says of images."""

from __future__ import annotations

from collections.abc import Sequence

from radvit import terminal
from radvit.bundle import Bundle
from radvit.data.samples import Cohort
from radvit.evaluation.predict import predict
from radvit.evaluation.predictions import Predictions
from radvit.inference.engine import BundleDetector, Engine
from radvit.inference.protocols import Explain
from radvit.records import Task


def answers(
    bundle: Bundle,
    engine: Engine,
    cohort: Cohort,
    indices: Sequence[int],
    batch_size: int = 16,
    explain: Explain | None = None,
) -> Predictions:
    """What a bundle's model says of some images of a cohort, calibrated. explain: for the boxes of a classifier."""
    detector = BundleDetector(bundle, engine)
    with terminal.bar("predicting") as advance:
        task, alone = bundle.spec.task, bundle.exclusive
        segmenter = detector if task is Task.SEGMENT and cohort.masks is not None else None
        return predict(
            detector, cohort, indices, bundle.preprocess, task, alone, batch_size, advance, segmenter, explain
        )
