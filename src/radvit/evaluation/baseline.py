"""What a detector is held against: blobs found without any learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from radvit.data.samples import Cohort
from radvit.evaluation.blobs import detect_blobs
from radvit.evaluation.predictions import Predictions
from radvit.records import Boxes

LARGEST = 512


def blob_predictions(cohort: Cohort, indices: Sequence[int], model: Predictions) -> Predictions:
    """Blobs of the images that a model was measured on, as its rival.

    model: the predictions whose truth is taken over. A blob has no class: where there are several, it counts as the
    first. Images of more than LARGEST px are made smaller first: the scales that blobs are looked for at are those of
    nodules on images of 256 to 512 px.
    """
    boxes, scores = [], np.zeros_like(model.scores)
    for row, index in enumerate(indices):
        pixels = cohort.pixels[index].astype(np.float32)
        side = min(len(pixels), LARGEST)
        small = pixels if side == len(pixels) else cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        found = detect_blobs(small)
        xyxy = found.xyxy * np.float32(len(pixels) / side)
        boxes.append(Boxes(cohort.samples[index].placement.to_image(xyxy), found.scores, found.labels))
        scores[row, 0] = found.scores.max(initial=0.0)
    return replace(model, boxes=tuple(boxes), scores=scores, overlap=None, hd95=None, exclusive=False)
