"""Maps of a segmenter to masks, and to scored boxes around what hangs together."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import expit

from radvit.records import Boxes, FloatArray

Bools = npt.NDArray[np.bool_]
NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch by a corner hang together


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """How probabilities become masks and boxes.

    inside: probability from which a pixel belongs to the mask. faintest: from which it may belong to a box; low, as
    faint boxes are what a FROC curve is made of. edge: a box holds the pixels of its part with at least this share of
    the part's best probability. most: boxes kept an image.
    """

    inside: float = 0.5
    faintest: float = 0.05
    edge: float = 0.5
    most: int = 30


def probabilities(logits: FloatArray, stride: int) -> FloatArray:
    """Probabilities at the input's resolution. logits: (B, K, h, w). Returns (B, K, h*stride, w*stride) float32."""
    batch, classes, rows, columns = logits.shape
    size = (columns * stride, rows * stride)
    maps = np.asarray(logits, np.float32).reshape(-1, rows, columns)
    whole = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in maps])
    return np.asarray(expit(whole).reshape(batch, classes, size[1], size[0]), np.float32)


def component_boxes(probability: FloatArray, spec: MaskSpec) -> Boxes:
    """Boxes around the connected parts of one image, best first; a part's score is its best probability.

    probability: (K, S, S). Boxes are xyxy in its pixels; pixel (0, 0) covers [0, 1] x [0, 1].
    """
    xyxy: list[tuple[int, int, int, int]] = []
    scores: list[float] = []
    labels: list[int] = []
    for k, values in enumerate(probability):
        parts, count = ndimage.label(values >= spec.faintest, NEIGHBOURS)
        best = ndimage.maximum(values, parts, np.arange(1, count + 1)) if count else np.zeros(0)
        least = np.concatenate([[np.inf], spec.edge * best])  # of each part; the first is what belongs to none
        within = values >= least[parts]
        xyxy += [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(np.where(within, parts, 0))]
        scores += best.tolist()
        labels += [k] * count
    order = np.argsort(-np.array(scores, np.float32), kind="stable")[: spec.most]
    found = np.array(xyxy, np.float32).reshape(-1, 4)[order]
    return Boxes(found, np.array(scores, np.float32)[order], np.array(labels, np.int64)[order])
