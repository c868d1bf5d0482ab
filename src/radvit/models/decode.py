"""Model outputs to boxes and image scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import expit, logit, softmax

from radvit import boxes as box_algebra
from radvit.models.detectors import DetectorKind
from radvit.records import Boxes, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class DecodeSpec:
    """How maps become boxes.

    most: boxes kept an image. overlap: IoU above which the weaker of two boxes goes. soft_sigma: in place of that, the
    weaker box's score falls with the overlap (see boxes.soft_nms). flip: look at each image and at its mirror image,
    and join the two. Matched sets (DetectorKind.SET) are not suppressed at all.
    """

    most: int = 30
    overlap: float = 0.2
    smallest_score: float = 0.005
    soft_sigma: float | None = None
    flip: bool = False


def level_boxes(
    heat: FloatArray, distances: FloatArray, stride: int, most: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """The best locations of one level in one image.

    heat: (K, h, w) scores; distances: (4, h, w) pixels. Returns xyxy (n, 4), score (n,), label (n,), best first.
    """
    _, rows, columns = heat.shape
    scores = heat.ravel()
    most = min(most, scores.size)
    where = np.argpartition(-scores, most - 1)[:most]
    where = where[np.lexsort((where, -scores[where]))]
    label, cell = np.divmod(where, rows * columns)
    left, top, right, bottom = distances.reshape(4, -1)[:, cell]
    y, x = (np.stack(np.divmod(cell, columns)).astype(np.float32) + np.float32(0.5)) * stride  # centres of cells
    return np.stack([x - left, y - top, x + right, y + bottom], -1), scores[where], label


def location_scores(outputs: Mapping[str, FloatArray], stride: int, kind: DetectorKind) -> FloatArray:
    """How sure each location is: (B, K, h, w); of a heat map only its local maxima are left.

    With centreness, the geometric mean of score and centreness.
    """
    heat = expit(np.asarray(outputs[f"score_{stride}"], np.float32))
    if kind is DetectorKind.HEAT:
        return np.asarray(heat * (ndimage.maximum_filter(heat, (1, 1, 3, 3), mode="nearest") == heat), np.float32)
    if kind is DetectorKind.CENTRENESS:
        return np.asarray(np.sqrt(heat * expit(np.asarray(outputs[f"center_{stride}"], np.float32))), np.float32)
    return np.asarray(heat, np.float32)


def decode(
    outputs: Mapping[str, FloatArray],
    strides: tuple[int, ...],
    spec: DecodeSpec,
    kind: DetectorKind = DetectorKind.HEAT,
) -> list[Boxes]:
    """Boxes of a batch from its maps, best first.

    outputs: score_S (B, K, h, w) logits and box_S (B, 4, h, w) for each stride S, with centreness also center_S
    (B, 1, h, w) logits. Boxes are in input pixels.
    """
    heats = [location_scores(outputs, s, kind) for s in strides]
    sides = [np.asarray(outputs[f"box_{s}"], np.float32) for s in strides]
    rows, columns = (side * strides[0] for side in heats[0].shape[2:])
    found = []
    for index in range(len(heats[0])):
        levels = [level_boxes(heats[i][index], sides[i][index], s, spec.most) for i, s in enumerate(strides)]
        xyxy, score, label = (np.concatenate(group) for group in zip(*levels, strict=True))
        keep = score >= spec.smallest_score
        kept = suppressed(Boxes(xyxy[keep], score[keep], label[keep]), spec, kind)
        found.append(Boxes(box_algebra.clip(kept.xyxy, rows, columns), kept.scores, kept.labels))
    return found


def suppressed(boxes: Boxes, spec: DecodeSpec, kind: DetectorKind) -> Boxes:
    """What is left of an image's boxes where several answer for one lesion, best first."""
    if kind is DetectorKind.SET:
        order = np.argsort(-boxes.scores, kind="stable")[: spec.most]
        return Boxes(boxes.xyxy[order], boxes.scores[order], boxes.labels[order])
    if spec.soft_sigma is not None:
        return box_algebra.soft_nms(boxes, spec.soft_sigma, spec.smallest_score, spec.most)
    return box_algebra.nms(boxes, spec.overlap, spec.most)


def mirrored_mean(outputs: Mapping[str, FloatArray], mirrored: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """A model's outputs for images joined with its outputs for their mirror images (left to right).

    Scores of maps, in logits, become the logit of their mean; boxes (B, 4, h, w) and the logits of images (B, K) are
    meaned. The mirror images' maps are turned back first.
    """
    joined: dict[str, FloatArray] = {}
    for name, own in outputs.items():
        other = mirrored[name]
        if name == "logits":
            joined[name] = np.asarray((own + other) / 2, np.float32)
        elif name.startswith("box_"):
            turned = other[..., ::-1][:, [2, 1, 0, 3]]  # left and right change places
            joined[name] = np.asarray((own + turned) / 2, np.float32)
        else:
            mean = (expit(own) + expit(other[..., ::-1])) / 2
            joined[name] = np.asarray(logit(np.clip(mean, 1e-7, 1 - 1e-7)), np.float32)
    return joined


def image_scores(logits: FloatArray, exclusive: bool) -> FloatArray:
    """Class probabilities of images. logits: (B, K). Returns (B, K) float32; rows sum to 1 where exclusive."""
    values = np.asarray(logits, np.float32)
    return np.asarray(softmax(values, 1) if exclusive else expit(values), np.float32)
