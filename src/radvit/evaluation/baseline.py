"""What a detector is held against: blobs found without any learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from radvit.data.samples import Cohort
from radvit.evaluation.blobs import detect_blobs
from radvit.evaluation.predictions import Predictions
from radvit.records import Boxes


def blob_predictions(cohort: Cohort, indices: Sequence[int], model: Predictions) -> Predictions:
    """Blobs of the images that a model was measured on, as its rival.

    model: the predictions whose truth is taken over. A blob has no class: where there are several, it counts as the
    first.
    """
    boxes, scores = [], np.zeros_like(model.scores)
    for row, index in enumerate(indices):
        found = detect_blobs(cohort.pixels[index].astype(np.float32))
        boxes.append(Boxes(cohort.samples[index].placement.to_image(found.xyxy), found.scores, found.labels))
        scores[row, 0] = found.scores.max(initial=0.0)
    return replace(model, boxes=tuple(boxes), scores=scores, overlap=None, hd95=None, exclusive=False)
