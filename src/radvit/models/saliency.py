"""Where a classifier looked: attention of all its blocks, or what it says of each patch, to one map of the image."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

from radvit.errors import ConfigError
from radvit.models.attention import Recorded, record
from radvit.models.heads import SHARPNESS, ClassifyHead
from radvit.models.vit import RadiographViT

FLAT = 1e-4  # a map that varies by less than this part of its largest value says nothing


class Method(StrEnum):
    """How a map is made.

    ROLLOUT: attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928), the same map for every class. GRADIENT:
    attention weighted by the gradient of a class's logit (Chefer, Gur and Wolf 2021, arXiv 2103.15679). PATCHES: what
    the head says of each patch, where it scores patches and not the image (Wang et al. 2017, arXiv 1705.02315).
    """

    ROLLOUT = "rollout"
    GRADIENT = "gradient"
    PATCHES = "patches"


def rollout(attention: Sequence[Tensor]) -> Tensor:
    """How much of each token reaches each token of the last block, were attention all that mixes them.

    attention: one (B, heads, L, L) a block, the first block first; rows sum to 1. Heads are meaned, half of every token
    is taken to stay (the residual connection), rows are normalised, blocks are multiplied. Returns (B, L, L), rows sum
    to 1.
    """
    reached = _identity(attention[0])
    for weights in attention:
        mixed = weights.mean(1) + _identity(weights)
        reached = mixed / mixed.sum(-1, keepdim=True) @ reached
    return reached


def relevance(attention: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """How relevant each token is to each token of the last block for one class: equations 5 and 6 of Chefer et al.

    attention, gradients of the class's logit by it: one (B, heads, L, L) a block. From R = I on, each block adds
    mean over heads of the positive part of gradient * attention, times R. Returns (B, L, L).
    """
    relevant = _identity(attention[0])
    for weights, gradient in zip(attention, gradients, strict=True):
        relevant = relevant + (gradient * weights).clamp_min(0).mean(1) @ relevant
    return relevant


def read_out(matrix: Tensor, prefix: int, grid: tuple[int, int], taken: Tensor) -> Tensor:
    """What the tokens that the head reads take from each patch.

    matrix: (B, L, L). taken: (B, L), by how much each token counts for the head. Returns (B, rows, columns).
    """
    return (taken[:, None] @ matrix)[:, 0, prefix:].reshape(-1, *grid)


def saliency_maps(model: RadiographViT, images: Tensor, method: Method, labels: Sequence[int] | None = None) -> Tensor:
    """One map a class of each image: (B, K, rows, columns) of patches, at least 0, on no scale of its own.

    labels: only maps of these classes, in this order.
    images: (B, 1, H, W), normalised, on the model's device. Memory grows with the square of the tokens and with the
    batch, but for PATCHES. What a patch keeps of itself is left out of GRADIENT: it is the same for all patches. Raises
    ConfigError as `record` does, or as `patch_scores` does.
    """
    if method is Method.PATCHES:
        scores = patch_scores(model, images).sigmoid()
        return scores if labels is None else scores[:, list(labels)]
    found = record(model, images, differentiable=method is Method.GRADIENT)
    wanted = range(found.logits.shape[1]) if labels is None else labels
    taken = _taken(model, images, found)
    if method is Method.ROLLOUT:
        matrix = rollout(found.attention)
        return torch.stack([read_out(matrix, found.prefix, found.grid, taken[:, k]) for k in wanted], 1)
    maps = []
    for k in wanted:
        logit = found.logits[:, k].sum()  # images of a batch don't mix, so one pass back serves them all
        gradients = torch.autograd.grad(logit, found.attention, retain_graph=True)
        with torch.no_grad():
            matrix = relevance(found.attention, gradients) - _identity(found.attention[0])
            maps.append(read_out(matrix, found.prefix, found.grid, taken[:, k]))
    return torch.stack(maps, 1).detach()


def patch_scores(model: RadiographViT, images: Tensor) -> Tensor:
    """What the head says of each patch, (B, K, rows, columns) logits, without gradients.

    Raises ConfigError where it says one thing of the whole image.
    """
    if not (isinstance(model.head, ClassifyHead) and model.head.pool == "lse"):
        raise ConfigError(
            f"saliency.method={Method.PATCHES} of a model with model.pool={model.spec.pool}; expected model.pool=lse"
        )
    with torch.no_grad():
        return model.head.patch_logits(model.backbone(images))


def _taken(model: RadiographViT, images: Tensor, found: Recorded) -> Tensor:
    """By how much each token counts for each class, (B, K, L), summing to 1: as the head pools them."""
    taken = torch.zeros((*found.logits.shape, found.attention[0].shape[-1]), device=images.device)
    if model.spec.pool == "token" and found.prefix > 0:
        taken[..., 0] = 1
    elif model.spec.pool == "lse":
        taken[..., found.prefix :] = (SHARPNESS * patch_scores(model, images).flatten(2)).softmax(2)
    else:
        taken[..., found.prefix :] = 1 / (taken.shape[-1] - found.prefix)
    return taken


def relative(maps: Tensor) -> Tensor:
    """Each map from 0 at its least to 1 at its most; all 0 where it is flat or no number. maps: (..., h, w)."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    says = torch.isfinite(low + high) & (high - low > FLAT * high.abs().maximum(low.abs()))
    return torch.where(says, (maps - low) / torch.where(says, high - low, 1.0), 0.0)


def _identity(weights: Tensor) -> Tensor:
    """(L, L) of a (B, heads, L, L), to be broadcast over the batch."""
    return torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device).expand(len(weights), -1, -1)
