"""Which windows of a training image a sliding-window classifier learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from radvit.models.windows import WindowSpec, holds
from radvit.records import FloatArray, IntArray

MOST_POSITIVE = 0.75  # of an image's windows, so that every image with a lesion shows windows without one
NEAR = 0.5  # of the windows without a lesion, where there is one: near misses, which teach where a window ends
TRIES = 20  # at a window without a lesion; in an image full of lesions there may be none


@dataclass(frozen=True, slots=True)
class WindowDraws:
    """How windows are drawn. count: of each image. positive: how likely one of an image with lesions holds one."""

    spec: WindowSpec
    count: int
    positive: float = 0.5


def balancing(with_lesion: float) -> float:
    """How likely a window of an image with lesions must hold one so that half of all do, MOST_POSITIVE at most.

    with_lesion: the share of the images that show any.
    """
    return min(MOST_POSITIVE, 0.5 / with_lesion) if with_lesion > 0 else 0.5


def draw_windows(boxes: FloatArray, size: int, how: WindowDraws, rng: np.random.Generator) -> IntArray:
    """Upper left corners of windows, x and y, whole pixels: (count, 2) int64.

    boxes: (n, 4) xyxy of lesions, pixels. size: side of the image.
    """
    return np.stack([_one(boxes, size - how.spec.size, how, rng) for _ in range(how.count)])


def _one(boxes: FloatArray, last: int, how: WindowDraws, rng: np.random.Generator) -> IntArray:
    side = how.spec.size
    if not len(boxes):
        return rng.integers(0, last + 1, 2)
    if rng.random() < how.positive:
        centre = np.floor(_centre(boxes, rng)).astype(np.int64).clip(0, last + side - 1)
        return np.asarray(rng.integers(np.maximum(centre - side + 1, 0), np.minimum(centre, last) + 1))
    near = rng.random() < NEAR
    for _ in range(TRIES):
        corner = rng.integers(0, last + 1, 2)
        if near:  # the window's centre within a window's side of the lesion's
            corner = np.rint(_centre(boxes, rng) - side / 2 + rng.uniform(-side, side, 2)).astype(np.int64)
            corner = corner.clip(0, last)
        if not holds(boxes, corner[None], how.spec).any():
            break
    return corner


def _centre(boxes: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The centre of one of the boxes."""
    box = boxes[rng.integers(len(boxes))]
    return np.asarray((box[:2] + box[2:]) / 2)


def cut_batch(batch: dict[str, Any], size: int) -> dict[str, Any]:
    """A batch of windows out of a batch of images (see radvit.data.datamodule), with boxes in the windows' pixels.

    Boxes aren't cut off at the windows' borders, so that it stays known where a lesion's centre is and how large it is.
    """
    cut: dict[str, Any] = {"image": [], "boxes": [], "labels": []}
    for image, boxes, labels, corners in zip(
        batch["image"], batch["boxes"], batch["labels"], batch["corners"].tolist(), strict=True
    ):
        for x, y in corners:
            cut["image"].append(image[:, y : y + size, x : x + size])
            cut["boxes"].append(boxes - boxes.new_tensor([x, y, x, y]))
            cut["labels"].append(labels)
    count = batch["corners"].shape[1]
    repeated = {name: batch[name].repeat_interleave(count, 0) for name in ("targets", "index")}
    return {**cut, "image": torch.stack(cut["image"]), **repeated}
