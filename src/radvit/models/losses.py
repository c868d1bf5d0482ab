"""Losses of the two tasks, as pure functions of model outputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from radvit.models.share import ALONE, Share

SMALLEST_SIGMA = 0.6  # cells; a nodule smaller than a cell still lights up its neighbours a little
POSITIVE = 0.6  # cells whose Gaussian is at least this regress the box


def gaussian_focal_loss(logits: Tensor, heat: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Penalty-reduced focal loss on a heat map, summed; to be divided by the number of peaks (at least 1).

    logits, heat: (B, K, h, w); heat is 1 at a centre and falls off around it.
    Source: Law and Deng 2018 (CornerNet), equation 1; Zhou et al. 2019.
    """
    p = logits.sigmoid()
    peak = heat.eq(1).to(logits.dtype)
    hit = peak * (1 - p) ** alpha * F.logsigmoid(logits)
    miss = (1 - peak) * (1 - heat) ** beta * p**alpha * F.logsigmoid(-logits)
    return -(hit + miss).sum()


def cell_centers(rows: int, columns: int, stride: int) -> tuple[Tensor, Tensor]:
    """Centres of a map's cells in pixels of the input. Returns x (columns,), y (rows,)."""
    return (torch.arange(columns) + 0.5) * stride, (torch.arange(rows) + 0.5) * stride


def heat_targets(
    boxes: Tensor, labels: Tensor, shape: tuple[int, int, int], stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussian heat, box and box weight of one image at one level.

    boxes: (n, 4) xyxy, input pixels; labels: (n,); shape: (K, h, w). Returns heat (K, h, w), box (4, h, w) xyxy in
    pixels, weight (h, w). Where two lesions claim a cell, the nearer one's box stands.
    """
    heat, target, weight = torch.zeros(shape), torch.zeros(4, *shape[1:]), torch.zeros(shape[1:])
    x, y = cell_centers(shape[1], shape[2], stride)
    for box, label in zip(boxes, labels, strict=True):
        cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        column = (cx / stride).long().clamp(0, shape[2] - 1)
        row = (cy / stride).long().clamp(0, shape[1] - 1)
        sigma_x = ((box[2] - box[0]) / (6 * stride)).clamp(min=SMALLEST_SIGMA) * stride
        sigma_y = ((box[3] - box[1]) / (6 * stride)).clamp(min=SMALLEST_SIGMA) * stride
        bump_x = torch.exp(-((x - x[column]) ** 2) / (2 * sigma_x**2))
        bump_y = torch.exp(-((y - y[row]) ** 2) / (2 * sigma_y**2))
        bump = bump_y[:, None] * bump_x[None, :]  # (h, w)
        heat[label] = torch.maximum(heat[label], bump)
        better = (bump > weight) & (bump >= POSITIVE * bump.max())
        target[:, better] = box[:, None]
        weight = torch.where(better, bump, weight)
    return heat, target, weight


def box_loss(distances: Tensor, target: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Weighted sum of 1 - generalised IoU over the cells that hold a lesion; to be divided by their weights' sum.

    distances: (B, 4, h, w) to left, top, right, bottom, pixels; target: (B, 4, h, w) xyxy; weight: (B, h, w).
    Source: Rezatofighi et al. 2019, through torchvision.
    """
    where = weight > 0
    if not bool(where.any()):
        return distances.sum() * 0.0
    x, y = cell_centers(weight.shape[1], weight.shape[2], stride)
    x, y = x.to(distances.device), y.to(distances.device)
    left, top, right, bottom = distances.unbind(1)  # each (B, h, w)
    predicted = torch.stack([x - left, y[:, None] - top, x + right, y[:, None] + bottom], -1)  # (B, h, w, 4)
    loss: Tensor = generalized_box_iou_loss(predicted[where].float(), target.permute(0, 2, 3, 1)[where])
    return (loss * weight[where]).sum()


@dataclass(frozen=True, slots=True)
class Level:
    """What one level is to answer, see `heat_targets`: heat (B, K, h, w), box (B, 4, h, w), weight (B, h, w)."""

    heat: Tensor
    box: Tensor
    weight: Tensor

    @property
    def counts(self) -> Tensor:
        """(2,): the peaks of the heat, and the sum of the weights."""
        return torch.stack([self.heat.eq(1).to(self.heat.dtype).sum(), self.weight[self.weight > 0].sum()])


def detection_loss(
    outputs: dict[str, Tensor],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    strides: Sequence[int],
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """Heat-map and box loss, summed over the levels; a lesion belongs to the level whose stride fits its size best.

    boxes: one (n, 4) xyxy an image, input pixels; labels: one (n,) an image. Each level's heat-map loss is divided by
    its lesions, and its box loss by its weights, both as counted in all processes. Returns {"score", "box"} scalars.
    """
    made = [level_targets(outputs[f"score_{stride}"], boxes, labels, strides, stride) for stride in strides]
    counts = share.total(torch.stack([level.counts for level in made]))  # (levels, 2)
    total = {"score": counts.new_zeros(()), "box": counts.new_zeros(())}
    for stride, level, (peaks, weights) in zip(strides, made, counts, strict=True):
        score = gaussian_focal_loss(outputs[f"score_{stride}"].float(), level.heat)
        box = box_loss(outputs[f"box_{stride}"], level.box, level.weight, stride)
        total["score"] = total["score"] + score / (peaks.clamp(min=1) / share.processes)
        total["box"] = total["box"] + box / (torch.where(weights > 0, weights, 1.0) / share.processes)
    return total


def level_targets(
    scores: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor], strides: Sequence[int], stride: int
) -> Level:
    """What the level of one stride is to answer. scores: (B, K, h, w), of which only shape and device matter."""
    shape = (scores.shape[1], scores.shape[2], scores.shape[3])
    made = []
    for b, lab in zip(boxes, labels, strict=True):
        mine = level_of(b, strides) == stride
        made.append(heat_targets(b[mine].cpu(), lab[mine].cpu(), shape, stride))
    return Level(*(torch.stack(parts).to(scores.device) for parts in zip(*made, strict=True)))


def level_of(boxes: Tensor, strides: Sequence[int]) -> Tensor:
    """The stride each box is learned at: the one nearest to a quarter of its longer side, on a log scale.

    boxes: (n, 4). Returns (n,) int64.
    """
    side = (boxes[:, 2:] - boxes[:, :2]).amax(1).clamp(min=1.0) if len(boxes) else torch.zeros(0)
    steps = torch.tensor(list(strides), dtype=torch.float32)
    nearest = (torch.log(side / 4)[:, None].cpu() - torch.log(steps)[None, :]).abs().argmin(1)
    return torch.tensor(list(strides))[nearest].to(boxes.device)


def classification_loss(
    logits: Tensor, targets: Tensor, exclusive: bool, smoothing: float = 0.0, focal_gamma: float = 0.0
) -> Tensor:
    """Cross-entropy for exclusive classes, else binary cross-entropy or, with focal_gamma > 0, focal loss.

    logits, targets: (B, K); targets 0 or 1, one-hot where exclusive. smoothing: label smoothing in [0, 1).
    Source: Szegedy et al. 2016 (smoothing); Lin et al. 2017 (focal), through torchvision.
    """
    if exclusive:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    soft = targets * (1 - smoothing) + smoothing / 2
    if focal_gamma > 0:
        focal: Tensor = sigmoid_focal_loss(logits, soft, alpha=-1, gamma=focal_gamma, reduction="mean")
        return focal
    return F.binary_cross_entropy_with_logits(logits, soft)
