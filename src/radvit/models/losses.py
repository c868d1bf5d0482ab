"""Losses of the two tasks, as pure functions of model outputs and targets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

SMALLEST_SIGMA = 0.6  # cells; a nodule smaller than a cell still lights up its neighbours a little
POSITIVE = 0.6  # cells whose Gaussian is at least this regress the box


def gaussian_focal_loss(logits: Tensor, heat: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Penalty-reduced focal loss on a heat map, summed and divided by the number of peaks (at least 1).

    logits, heat: (B, K, h, w); heat is 1 at a centre and falls off around it.
    Source: Law and Deng 2018 (CornerNet), equation 1; Zhou et al. 2019.
    """
    p = logits.sigmoid()
    peak = heat.eq(1).to(logits.dtype)
    hit = peak * (1 - p) ** alpha * F.logsigmoid(logits)
    miss = (1 - peak) * (1 - heat) ** beta * p**alpha * F.logsigmoid(-logits)
    return -(hit + miss).sum() / peak.sum().clamp(min=1)


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
    """Weighted mean of 1 - generalised IoU over the cells that hold a lesion; 0 where there is none.

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
    return (loss * weight[where]).sum() / weight[where].sum()


def detection_loss(
    outputs: dict[str, Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor], strides: Sequence[int]
) -> dict[str, Tensor]:
    """Heat-map and box loss, summed over the levels; a lesion belongs to the level whose stride fits its size best.

    boxes: one (n, 4) xyxy an image, input pixels; labels: one (n,) an image. Returns {"score", "box"} scalars.
    """
    device = next(iter(outputs.values())).device
    total = {"score": torch.zeros((), device=device), "box": torch.zeros((), device=device)}
    for stride in strides:
        scores, distances = outputs[f"score_{stride}"], outputs[f"box_{stride}"]
        shape = (scores.shape[1], scores.shape[2], scores.shape[3])
        made = []
        for b, lab in zip(boxes, labels, strict=True):
            mine = level_of(b, strides) == stride
            made.append(heat_targets(b[mine].cpu(), lab[mine].cpu(), shape, stride))
        heat, target, weight = (torch.stack(parts).to(device) for parts in zip(*made, strict=True))
        total["score"] = total["score"] + gaussian_focal_loss(scores.float(), heat)
        total["box"] = total["box"] + box_loss(distances, target, weight, stride)
    return total


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
