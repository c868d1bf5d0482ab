"""Mixing the images of a batch with one another, and their labels with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class MixSpec:
    """Parameters of the Beta distribution that shares are drawn from, 0 for off; where both are on, a coin decides.

    Sources: Zhang et al. 2018 (mixup); Yun et al. 2019 (CutMix).
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def off(self) -> bool:
        """Whether batches stay as they are."""
        return self.mixup == 0 and self.cutmix == 0


def mix(images: Tensor, targets: Tensor, spec: MixSpec, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each image with another of its batch.

    images: (B, C, H, W); targets: (B, K). Returns new tensors of the same shapes; targets become soft: the share of
    the pixels, or of the weight, that stems from each. The given ones stay as they are.
    """
    if spec.off or len(images) < 2:
        return images, targets
    cut = spec.cutmix > 0 and (spec.mixup == 0 or rng.random() < 0.5)
    alpha = spec.cutmix if cut else spec.mixup
    keep = float(rng.beta(alpha, alpha))
    other = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    if cut:
        top, bottom, left, right = cut_out(images.shape[2], images.shape[3], keep, rng)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[other, :, top:bottom, left:right]
        keep = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    else:
        mixed = torch.lerp(images[other], images, keep)
    return mixed, torch.lerp(targets[other], targets, keep)


def cut_out(rows: int, columns: int, keep: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A rectangle of about 1 - keep of an image's area, around a point drawn evenly, cut at the edges.

    Returns top, bottom, left, right in pixels; bottom and right are not part of it.
    """
    height, width = rows * np.sqrt(1 - keep), columns * np.sqrt(1 - keep)
    y, x = rng.uniform(0, rows), rng.uniform(0, columns)
    top, bottom = np.clip(np.round([y - height / 2, y + height / 2]), 0, rows).astype(int).tolist()
    left, right = np.clip(np.round([x - width / 2, x + width / 2]), 0, columns).astype(int).tolist()
    return top, bottom, left, right
