"""Weights against unequal numbers of images a class, and the classification loss that takes them."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from radvit.errors import DataError

BETA = 0.999  # Cui et al. 2019 try 0.9 to 0.9999; a thousand images count as much as infinitely many


class ClassWeights(Enum):
    """balanced: by the inverse of the number of images. effective: by the inverse of their effective number."""

    NONE = "none"
    BALANCED = "balanced"
    EFFECTIVE = "effective"


def class_weights(targets: npt.NDArray[np.floating], how: ClassWeights, exclusive: bool) -> Tensor | None:
    """A weight a class, (K,) float32, from the training targets, (N, K) of 0 and 1; None for none.

    exclusive: weights of the classes, of mean 1 over the images. Else: weights of each class's positive images beside
    its negative ones, which weigh 1. Raises DataError where a class has no positive or no negative image.
    Source: Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples.
    """
    if how is ClassWeights.NONE:
        return None
    positive = targets.sum(0).astype(np.float64)
    negative = len(targets) - positive
    if min(positive.min(), negative.min()) < 1:
        raise DataError(f"optim.class_weights={how.value}: a class has no positive or no negative training image")
    if not exclusive:
        return torch.tensor(mass(negative, how) / mass(positive, how), dtype=torch.float32)
    weights = 1 / mass(positive, how)
    return torch.tensor(weights * len(targets) / (weights * positive).sum(), dtype=torch.float32)


def mass(count: npt.NDArray[np.float64], how: ClassWeights) -> npt.NDArray[np.float64]:
    """How much so many images of a class tell: their number, or (1 - beta^n) / (1 - beta)."""
    return (1 - BETA**count) / (1 - BETA) if how is ClassWeights.EFFECTIVE else count


def weighted_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, exclusive: bool, smoothing: float, focal_gamma: float
) -> Tensor:
    """`radvit.models.losses.classification_loss` with a weight a class.

    logits, targets: (B, K), targets may be soft; weights: (K,), of the classes where exclusive, else of positives.
    """
    if exclusive:
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing)
    soft = targets * (1 - smoothing) + smoothing / 2
    each: Tensor = sigmoid_focal_loss(logits, soft, alpha=-1, gamma=focal_gamma, reduction="none")  # gamma 0: plain
    return (each * torch.lerp(torch.ones_like(targets), weights.expand_as(targets), targets)).mean()
