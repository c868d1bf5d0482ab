"""Model outputs to boxes and image scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from radvit import boxes as box_algebra
from radvit.models.losses import cell_centers
from radvit.records import Boxes


@dataclass(frozen=True, slots=True)
class DecodeSpec:
    """How maps become boxes. most: boxes kept an image. overlap: IoU above which the weaker of two boxes goes."""

    most: int = 30
    overlap: float = 0.2
    smallest_score: float = 0.005


def level_boxes(scores: Tensor, distances: Tensor, stride: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best local maxima of one level.

    scores: (B, K, h, w) logits; distances: (B, 4, h, w) pixels. Returns xyxy (B, n, 4), score (B, n), label (B, n).
    """
    heat = scores.float().sigmoid()
    peaks = heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)
    batch, classes, rows, columns = heat.shape
    best, where = peaks.flatten(1).topk(min(most, classes * rows * columns))  # (B, n)
    label, cell = where // (rows * columns), where % (rows * columns)
    sides = distances.float().flatten(2).gather(2, cell[:, None].expand(batch, 4, -1))  # (B, 4, n)
    x, y = cell_centers(rows, columns, stride)
    cx, cy = x[cell % columns], y[cell // columns]  # (B, n)
    xyxy = torch.stack([cx - sides[:, 0], cy - sides[:, 1], cx + sides[:, 2], cy + sides[:, 3]], -1)
    return xyxy, best, label


def decode(outputs: Mapping[str, Tensor], strides: tuple[int, ...], spec: DecodeSpec) -> list[Boxes]:
    """Boxes of a batch from its maps, on the CPU, best first.

    outputs: score_S (B, K, h, w) logits and box_S (B, 4, h, w) for each stride S. Boxes are in input pixels.
    """
    parts = [level_boxes(outputs[f"score_{s}"].cpu(), outputs[f"box_{s}"].cpu(), s, spec.most) for s in strides]
    xyxy, score, label = (torch.cat(group, 1) for group in zip(*parts, strict=True))
    size = outputs[f"score_{strides[0]}"].shape
    found = []
    for b, s, k in zip(xyxy, score, label, strict=True):
        keep = s >= spec.smallest_score
        raw = Boxes(b[keep].numpy(), s[keep].numpy(), k[keep].numpy())
        kept = box_algebra.nms(raw, spec.overlap, spec.most)
        inside = box_algebra.clip(kept.xyxy, size[2] * strides[0], size[3] * strides[0])
        found.append(Boxes(inside, kept.scores, kept.labels))
    return found


def image_scores(logits: Tensor, exclusive: bool) -> Tensor:
    """Class probabilities of images. logits: (B, K). Returns (B, K) float32; rows sum to 1 where exclusive."""
    return logits.float().softmax(1) if exclusive else logits.float().sigmoid()
