"""Losses of detectors whose locations each answer for one lesion: FCOS's, and that of a set matched one to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou, sigmoid_focal_loss

from radvit.models.losses import box_loss, cell_centers, level_of
from radvit.models.share import ALONE, Share

RADIUS = 1.5  # cells around a lesion's centre within which a location may answer for it (FCOS's centre sampling)
ALPHA, GAMMA = 0.25, 2.0  # of the focal loss (Lin et al. 2017)
BOX_SHARE = 0.8  # of the IoU in a match's quality, the rest is the score's (Wang et al. 2021, alpha)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the locations of one image's level are to say.

    score: (K, h, w) of 0 and 1. box: (4, h, w) xyxy, pixels. weight: (h, w), what the box counts; 0 where none answers.
    """

    score: Tensor
    box: Tensor
    weight: Tensor


def sides(boxes: Tensor, shape: Sequence[int], stride: int) -> Tensor:
    """Distances from each location to each box's left, top, right and bottom side, pixels.

    boxes: (n, 4) xyxy. shape: (h, w). A box narrower than a cell counts as one cell wide, so that the location nearest
    to its centre is inside. Returns (n, 4, h, w); all four are positive inside a box.
    """
    x, y = cell_centers(shape[0], shape[1], stride)
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, ((boxes[:, 2:] - boxes[:, :2]) / 2).clamp(min=stride / 2 + 1e-3)
    low, high = (centre - half)[..., None, None], (centre + half)[..., None, None]  # (n, 2, 1, 1)
    across, down = x.expand(len(boxes), *shape), y[:, None].expand(len(boxes), *shape)
    return torch.stack([across - low[:, 0], down - low[:, 1], high[:, 0] - across, high[:, 1] - down], 1)


def candidates(boxes: Tensor, shape: Sequence[int], stride: int) -> Tensor:
    """Which locations may answer for which box: inside it, and near its centre. Returns (n, h, w) bool."""
    x, y = cell_centers(shape[0], shape[1], stride)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    near_x = (x - centre[:, :1]).abs() < RADIUS * stride  # (n, w)
    near_y = (y - centre[:, 1:]).abs() < RADIUS * stride  # (n, h)
    return near_x[:, None, :] & near_y[:, :, None] & (sides(boxes, shape, stride).amin(1) > 0)


def centreness(boxes: Tensor, shape: Sequence[int], stride: int) -> Tensor:
    """How central a location lies in each box, 1 in the middle and 0 at the border and outside: (n, h, w).

    Source: Tian et al. 2019, equation 3.
    """
    left, top, right, bottom = sides(boxes, shape, stride).clamp(min=0).unbind(1)
    wide = torch.minimum(left, right) / torch.maximum(left, right)
    tall = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    return (wide * tall).sqrt()


def centreness_targets(boxes: Tensor, labels: Tensor, shape: tuple[int, int, int], stride: int) -> Answers:
    """FCOS's answers: every candidate answers for the smallest lesion that it is one of.

    boxes: (n, 4) xyxy, pixels; labels: (n,); shape: (K, h, w). The weight is the centreness.
    """
    score, target, weight = torch.zeros(shape), torch.zeros(4, *shape[1:]), torch.zeros(shape[1:])
    inside, central = candidates(boxes, shape[1:], stride), centreness(boxes, shape[1:], stride)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for i in area.argsort(descending=True, stable=True).tolist():  # the smallest last, over the others
        where = inside[i]
        score[:, where] = 0
        score[labels[i], where] = 1
        target[:, where] = boxes[i][:, None]
        weight[where] = central[i][where]
    return Answers(score, target, weight)


def set_targets(scores: Tensor, distances: Tensor, boxes: Tensor, labels: Tensor, stride: int) -> Answers:
    """One location a lesion, so that the sum of the matches' qualities is largest.

    scores: (K, h, w) logits and distances: (4, h, w) pixels, as predicted. A match's quality is score ** 0.2 x IoU **
    0.8, and 0 where the location is no candidate.
    """
    shape = scores.shape
    score, target, weight = (torch.zeros(s) for s in (shape, (4, *shape[1:]), shape[1:]))
    if not len(boxes):
        return Answers(score, target, weight)
    x, y = cell_centers(shape[1], shape[2], stride)
    left, top, right, bottom = distances
    predicted = torch.stack([x - left, y[:, None] - top, x + right, y[:, None] + bottom], -1).reshape(-1, 4)
    overlap = box_iou(boxes, predicted)  # (n, h*w)
    sure = scores.sigmoid()[labels].flatten(1)  # (n, h*w)
    allowed = candidates(boxes, shape[1:], stride).flatten(1)
    quality = allowed * sure ** (1 - BOX_SHARE) * overlap.clamp(min=1e-6) ** BOX_SHARE
    for i, cell in zip(*linear_sum_assignment(quality.numpy(), maximize=True), strict=True):
        if not allowed[i, cell]:
            continue  # more lesions than locations
        row, column = divmod(int(cell), shape[2])
        score[labels[i], row, column] = 1
        target[:, row, column] = boxes[i]
        weight[row, column] = 1
    return Answers(score, target, weight)


def centreness_loss(
    outputs: dict[str, Tensor],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    strides: Sequence[int],
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """FCOS's loss: focal, GIoU weighted by centreness, and cross-entropy of the centreness; see detection_loss.

    outputs: beside score_S and box_S also center_S, (B, 1, h, w) logits. Focal loss and cross-entropy are divided by
    the locations that answer, GIoU by the sum of their weights, over all levels and processes.
    """

    def answers(image: int, stride: int, own: Tensor, names: Tensor) -> Answers:
        return centreness_targets(own, names, _shape(outputs[f"score_{stride}"]), stride)

    device = outputs[f"score_{strides[0]}"].device
    made = {stride: _stacked(answers, boxes, labels, strides, stride, device) for stride in strides}
    asked, weights = _counted(made, share)
    central = asked.new_zeros(())
    for stride, one in made.items():
        logits, where = outputs[f"center_{stride}"].float()[:, 0], one.weight > 0
        central = central + F.binary_cross_entropy_with_logits(logits[where], one.weight[where], reduction="sum")
    return {**_terms(outputs, made, asked, weights), "center": central / asked}


def set_loss(
    outputs: dict[str, Tensor],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    strides: Sequence[int],
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """Focal loss and GIoU of a set of locations matched one to one with the lesions; see detection_loss."""

    def answers(image: int, stride: int, own: Tensor, names: Tensor) -> Answers:
        scores, distances = (outputs[f"{name}_{stride}"][image].detach().float().cpu() for name in ("score", "box"))
        return set_targets(scores, distances, own, names, stride)

    device = outputs[f"score_{strides[0]}"].device
    made = {stride: _stacked(answers, boxes, labels, strides, stride, device) for stride in strides}
    return _terms(outputs, made, *_counted(made, share))


def _shape(scores: Tensor) -> tuple[int, int, int]:
    return scores.shape[1], scores.shape[2], scores.shape[3]


def _stacked(
    answers: Callable[[int, int, Tensor, Tensor], Answers],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    strides: Sequence[int],
    stride: int,
    device: torch.device,
) -> Answers:
    """The answers of a batch at one level, which takes the lesions of its size: each field with a first axis B."""
    made = []
    for image, (own, names) in enumerate(zip(boxes, labels, strict=True)):
        mine = level_of(own, strides) == stride
        made.append(answers(image, stride, own[mine].cpu(), names[mine].cpu()))
    fields = ([one.score for one in made], [one.box for one in made], [one.weight for one in made])
    return Answers(*(torch.stack(field).to(device) for field in fields))


def _counted(made: Mapping[int, Answers], share: Share) -> tuple[Tensor, Tensor]:
    """A process's share of the locations that answer and of their weights' sum; 1 / processes at least."""
    own = torch.stack([torch.stack([(one.weight > 0).sum(), one.weight.sum()]) for one in made.values()]).sum(0)
    asked, weights = share.total(own)
    return asked.clamp(min=1) / share.processes, torch.where(weights > 0, weights, 1.0) / share.processes


def _terms(
    outputs: dict[str, Tensor], made: Mapping[int, Answers], asked: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Focal and box loss of all levels, divided by what was counted."""
    score, box = asked.new_zeros(()), asked.new_zeros(())
    for stride, one in made.items():
        logits, distances = outputs[f"score_{stride}"].float(), outputs[f"box_{stride}"]
        score = score + sigmoid_focal_loss(logits, one.score, ALPHA, GAMMA, reduction="sum")
        box = box + box_loss(distances, one.box, one.weight, stride)
    return {"score": score / asked, "box": box / weights}
