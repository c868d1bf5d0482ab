"""The loss of segmentation, through MONAI; apart from the other losses, as inference needs none of it."""

from __future__ import annotations

from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F


def segmentation_loss(logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Dice and cross-entropy of each class by itself, at the mask's resolution. Returns {"dice", "ce"} scalars.

    logits: (B, K, h, w), grown bilinearly to the mask; mask: (B, K, S, S) of 0 and 1. Dice counts over the whole batch,
    so that images without a lesion count by what is wrongly drawn on them (image by image they would give 1 or 0).
    Source: Milletari et al. 2016 (V-Net); Isensee et al. 2021 (nnU-Net) for the sum of the two and for Dice by batch.
    """
    whole = F.interpolate(logits.float(), size=mask.shape[2:], mode="bilinear", align_corners=False)
    dice: Tensor = DiceLoss(sigmoid=True, batch=True)(whole, mask)
    return {"dice": dice, "ce": F.binary_cross_entropy_with_logits(whole, mask)}
