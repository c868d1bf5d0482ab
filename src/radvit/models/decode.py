"""Model outputs to boxes and image scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from radvit import boxes as box_algebra
from radvit.models.detectors import DetectorKind
from radvit.models.losses import cell_centers
from radvit.records import Boxes


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


def level_boxes(heat: Tensor, distances: Tensor, stride: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best locations of one level.

    heat: (B, K, h, w) scores; distances: (B, 4, h, w) pixels. Returns xyxy (B, n, 4), score (B, n), label (B, n).
    """
    batch, classes, rows, columns = heat.shape
    best, where = heat.flatten(1).topk(min(most, classes * rows * columns))  # (B, n)
    label, cell = where // (rows * columns), where % (rows * columns)
    sides = distances.float().flatten(2).gather(2, cell[:, None].expand(batch, 4, -1))  # (B, 4, n)
    x, y = cell_centers(rows, columns, stride)
    cx, cy = x[cell % columns], y[cell // columns]  # (B, n)
    xyxy = torch.stack([cx - sides[:, 0], cy - sides[:, 1], cx + sides[:, 2], cy + sides[:, 3]], -1)
    return xyxy, best, label


def location_scores(outputs: Mapping[str, Tensor], stride: int, kind: DetectorKind) -> Tensor:
    """How sure each location is, on the CPU: (B, K, h, w); of a heat map only its local maxima are left.

    With centreness, the geometric mean of score and centreness.
    """
    heat = outputs[f"score_{stride}"].cpu().float().sigmoid()
    if kind is DetectorKind.HEAT:
        return heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)
    if kind is DetectorKind.CENTRENESS:
        return (heat * outputs[f"center_{stride}"].cpu().float().sigmoid()).sqrt()
    return heat


def decode(
    outputs: Mapping[str, Tensor], strides: tuple[int, ...], spec: DecodeSpec, kind: DetectorKind = DetectorKind.HEAT
) -> list[Boxes]:
    """Boxes of a batch from its maps, on the CPU, best first.

    outputs: score_S (B, K, h, w) logits and box_S (B, 4, h, w) for each stride S, with centreness also center_S
    (B, 1, h, w) logits. Boxes are in input pixels.
    """
    heats = [location_scores(outputs, s, kind) for s in strides]
    parts = [level_boxes(heat, outputs[f"box_{s}"].cpu(), s, spec.most) for s, heat in zip(strides, heats, strict=True)]
    xyxy, score, label = (torch.cat(group, 1) for group in zip(*parts, strict=True))
    size = outputs[f"score_{strides[0]}"].shape
    found = []
    for b, s, k in zip(xyxy, score, label, strict=True):
        keep = s >= spec.smallest_score
        raw = Boxes(b[keep].numpy(), s[keep].numpy(), k[keep].numpy())
        kept = suppressed(raw, spec, kind)
        inside = box_algebra.clip(kept.xyxy, size[2] * strides[0], size[3] * strides[0])
        found.append(Boxes(inside, kept.scores, kept.labels))
    return found


def suppressed(boxes: Boxes, spec: DecodeSpec, kind: DetectorKind) -> Boxes:
    """What is left of an image's boxes where several answer for one lesion, best first."""
    if kind is DetectorKind.SET:
        order = np.argsort(-boxes.scores, kind="stable")[: spec.most]
        return Boxes(boxes.xyxy[order], boxes.scores[order], boxes.labels[order])
    if spec.soft_sigma is not None:
        return box_algebra.soft_nms(boxes, spec.soft_sigma, spec.smallest_score, spec.most)
    return box_algebra.nms(boxes, spec.overlap, spec.most)


def mirrored_mean(outputs: Mapping[str, Tensor], mirrored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's outputs for images joined with its outputs for their mirror images (left to right).

    Scores of maps, in logits, become the logit of their mean; boxes (B, 4, h, w) and the logits of images (B, K) are
    meaned. The mirror images' maps are turned back first.
    """
    joined: dict[str, Tensor] = {}
    for name, own in outputs.items():
        other = mirrored[name]
        if name == "logits":
            joined[name] = (own + other) / 2
        elif name.startswith("box_"):
            joined[name] = (own + other.flip(-1)[:, [2, 1, 0, 3]]) / 2  # left and right change places
        else:
            joined[name] = ((own.sigmoid() + other.flip(-1).sigmoid()) / 2).logit(eps=1e-7)
    return joined


def image_scores(logits: Tensor, exclusive: bool) -> Tensor:
    """Class probabilities of images. logits: (B, K). Returns (B, K) float32; rows sum to 1 where exclusive."""
    return logits.float().softmax(1) if exclusive else logits.float().sigmoid()
