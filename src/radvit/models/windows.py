"""How windows lie over an image, and the map, boxes and image score that their answers lead to.

Blending is that of monai.inferers.sliding_window_inference, for a network with one answer a window. There each answer
would have to be spread over its window's pixels and added up window by window; as every weight here is a product of one
along the rows and one along the columns, two small matrix products give the same map.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import expit

from radvit.errors import ConfigError
from radvit.models.decode_mask import NEIGHBOURS
from radvit.records import Boxes, FloatArray, IntArray

AT_ONCE = 64
FINE = 8  # values of the map to a stride
SIGMA = 0.125  # of a window's side: the Gaussian of MONAI and of nnU-Net (Isensee et al. 2021)


class Blend(StrEnum):
    """How the scores of overlapping windows become one: their mean, or one that trusts a window's middle more."""

    MEAN = "mean"
    GAUSSIAN = "gaussian"


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How windows lie over an image, and how their scores become boxes. size, stride: pixels of the model's image.

    share: a window holds a lesion where at least this part of the lesion's area is inside; None: where its centre is.
    threshold: least score of a box. edge: a box holds what hangs together around a peak of the map with at least this
    share of the peak's score. most: boxes kept an image. at_once: windows of one pass, so that memory doesn't grow with
    the image.
    """

    size: int
    stride: int
    blend: Blend = Blend.MEAN
    share: float | None = None
    threshold: float = 0.05
    edge: float = 0.75
    most: int = 30
    at_once: int = AT_ONCE

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.size:
            raise ConfigError(
                f"model.window.size={self.size} model.window.stride={self.stride}; expected a stride from 1 to the size"
            )

    def starts(self, length: int) -> list[int]:
        """Where windows begin along a side, pixels; the last one is moved back to end with the image.

        Raises ConfigError where the image is smaller than a window.
        """
        if length < self.size:
            raise ConfigError(f"model.window.size={self.size} on an image of {length} px; expected at most that")
        last = length - self.size
        return [min(i * self.stride, last) for i in range(-(-last // self.stride) + 1)]


def holds(boxes: FloatArray, corners: IntArray, spec: WindowSpec) -> npt.NDArray[np.bool_]:
    """Which windows hold which lesions. boxes: (n, 4) xyxy; corners: (m, 2), x and y of windows. (n, m) bool."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]  # (n, 1, 2)
    if spec.share is None:
        centre = (low + high) / 2
        return np.asarray(((corners <= centre) & (centre < corners + spec.size)).all(2))
    inside = np.clip(np.minimum(high, corners + spec.size) - np.maximum(low, corners), 0, None).prod(2)
    return np.asarray(inside >= spec.share * (high - low).prod(2))


def blend_weights(length: int, spec: WindowSpec, step: int = 1) -> FloatArray:
    """What each window along a side weighs at each pixel: (length, windows) float32; rows sum to 1.

    step: take only the middle one of so many pixels, for (length / step, windows), rounded down.
    """
    place = (
        np.arange(step // 2, length, step)[: length // step, None] - np.array(spec.starts(length))[None]
    )  # of a pixel within a window
    weight = ((place >= 0) & (place < spec.size)).astype(np.float64)
    if spec.blend is Blend.GAUSSIAN:
        sigma = SIGMA * spec.size
        weight *= np.maximum(np.exp(-((place - (spec.size - 1) / 2) ** 2) / (2 * sigma**2)), 1e-6)
    sums = weight.sum(1, keepdims=True)
    return np.asarray(weight / np.where(sums > 0, sums, 1), np.float32)


def heat_map(scores: FloatArray, size: int, spec: WindowSpec, step: int = 1) -> FloatArray:
    """Scores of windows, blended where they overlap. scores: (..., r, c). Returns (..., size, size) float32.

    step: see blend_weights; it divides both sides.
    """
    weights = blend_weights(size, spec, step)
    return np.asarray(weights @ scores @ weights.T, np.float32)


def decode_windows(logits: FloatArray, size: int, spec: WindowSpec) -> tuple[list[Boxes], FloatArray]:
    """Boxes of each image, best first, and the scores of its highest windows (B, K) float32.

    logits: (B, K, r, c). size: side of the images, pixels. A box's score is the best one of the map inside it. The map
    is sampled at 1/FINE of the stride, to which the boxes' sides are rounded.
    """
    scores = np.asarray(expit(np.asarray(logits, np.float32)), np.float32)
    step = max(1, spec.stride // FINE)
    found = [peak_boxes(heat, spec, step) for heat in heat_map(scores, size, spec, step)]
    return found, np.asarray(scores.max((2, 3)), np.float32)


def peak_boxes(heat: FloatArray, spec: WindowSpec, step: int = 1) -> Boxes:
    """Boxes around the peaks of one image's map, best first, in pixels of the image.

    heat: (K, h, w), a value every `step` pixels. A peak is what no value within half a window exceeds; its box holds
    the values around it, no farther than that, which hang together and have at least `edge` of its score. A threshold
    alone would not do: a classifier taught on as many windows with a lesion as without is never sure of neither.
    """
    reach = max(1, spec.size // (2 * step))
    xyxy: list[tuple[int, int, int, int]] = []
    scores: list[float] = []
    labels: list[int] = []
    for k, values in enumerate(heat):
        highest = ndimage.maximum_filter(values, 2 * reach + 1, mode="nearest")
        plateaus, _ = ndimage.label((values >= highest) & (values >= spec.threshold), NEIGHBOURS)
        for number, (rows, columns) in enumerate(ndimage.find_objects(plateaus), start=1):
            top, left = max(rows.start - reach, 0), max(columns.start - reach, 0)
            around = np.s_[top : rows.stop + reach, left : columns.stop + reach]
            peak = plateaus[around] == number
            score = float(values[around][peak].max())
            parts, _ = ndimage.label(values[around] >= spec.edge * score, NEIGHBOURS)
            y, x = np.nonzero(parts == parts[peak][0])
            xyxy.append((left + x.min(), top + y.min(), left + x.max() + 1, top + y.max() + 1))
            scores.append(score)
            labels.append(k)
    order = np.argsort(-np.array(scores, np.float32), kind="stable")[: spec.most]
    found = np.array(xyxy, np.float32).reshape(-1, 4)[order] * step
    return Boxes(found, np.array(scores, np.float32)[order], np.array(labels, np.int64)[order])
