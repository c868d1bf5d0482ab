"""A classifier slid over an image: windows, and what each is to answer; see radvit.models.windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from radvit.models.losses import classification_loss
from radvit.models.windows import WindowSpec, holds
from radvit.records import FloatArray


def slide(images: Tensor, spec: WindowSpec, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Logits of every window. images: (B, C, H, W). score: (n, C, size, size) to (n, K).

    Returns (B, K, r, c), rows and columns of windows; (B, K, 1, 1) for images of a window's size, in one pass.
    """
    if images.shape[2:] == (spec.size, spec.size):
        return score(images)[:, :, None, None]
    rows, columns = spec.starts(images.shape[2]), spec.starts(images.shape[3])
    grids = []
    for image in images:
        cut = torch.stack([image[:, y : y + spec.size, x : x + spec.size] for y in rows for x in columns])
        logits = torch.cat([score(part) for part in torch.split(cut, spec.at_once)])  # (r*c, K)
        grids.append(logits.T.reshape(-1, len(rows), len(columns)))  # (K, r, c)
    return torch.stack(grids)


def window_targets(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], size: int, classes: int, spec: WindowSpec
) -> FloatArray:
    """What the windows of square images are to answer: (B, K, r, c) float32 of 0 and 1.

    boxes: one (n, 4) xyxy an image, pixels; labels: one (n,) an image. size: side of the images.
    """
    starts = spec.starts(size)
    corners = np.array([(x, y) for y in starts for x in starts])
    targets = np.zeros((len(boxes), classes, len(corners)), np.float32)
    for target, box, label in zip(targets, boxes, labels, strict=True):
        held = holds(box.cpu().numpy(), corners, spec)
        np.maximum.at(target, label.cpu().numpy(), held.astype(np.float32))
    return targets.reshape(len(boxes), classes, len(starts), len(starts))


def window_loss(logits: Tensor, targets: FloatArray, smoothing: float = 0.0, focal_gamma: float = 0.0) -> Tensor:
    """Mean loss of all windows, each class by itself; see classification_loss. logits, targets: (B, K, r, c)."""
    true = torch.from_numpy(targets).to(logits.device)
    flat, wanted = (one.movedim(1, -1).flatten(0, 2) for one in (logits.float(), true))  # (B*r*c, K)
    return classification_loss(flat, wanted, False, smoothing, focal_gamma)
