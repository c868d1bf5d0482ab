"""The loss of segmentation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from radvit.models.share import ALONE, Share

SMOOTH = 1e-5  # pixels; a class that is neither there nor drawn has a Dice coefficient of 1


def segmentation_loss(logits: Tensor, mask: Tensor, share: Share = ALONE) -> dict[str, Tensor]:
    """Dice and cross-entropy of each class by itself, at the mask's resolution. Returns {"dice", "ce"} scalars.

    logits: (B, K, h, w), grown bilinearly to the mask; mask: (B, K, S, S) of 0 and 1. Dice counts over the whole batch,
    so that images without a lesion count by what is wrongly drawn on them (image by image they would give 1 or 0).
    Source: Milletari et al. 2016 (V-Net); Isensee et al. 2021 (nnU-Net) for the sum of the two and for Dice by batch.
    """
    whole = F.interpolate(logits.float(), size=mask.shape[2:], mode="bilinear", align_corners=False)
    return {"dice": dice_loss(whole, mask, share), "ce": F.binary_cross_entropy_with_logits(whole, mask)}


def dice_loss(logits: Tensor, mask: Tensor, share: Share = ALONE) -> Tensor:
    """One minus the Dice coefficient of a batch, meaned over its classes. logits, mask: (B, K, S, S).

    Every process gets the whole batch's value, and gradients of which the mean over the processes is the whole batch's.
    """
    inside = logits.sigmoid()
    mine = torch.stack([(inside * mask).sum((0, 2, 3)), (inside + mask).sum((0, 2, 3))])  # (2, K)
    both, sizes = mine + (share.total(mine.detach()) - mine.detach())
    loss: Tensor = (1 - (2 * both + SMOOTH) / (sizes + SMOOTH)).mean()
    return loss.detach() + share.processes * (loss - loss.detach())
