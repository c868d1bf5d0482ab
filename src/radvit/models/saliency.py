"""Where a classifier looked: attention of all its blocks to one map of the image."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

from radvit.models.attention import record
from radvit.models.vit import RadiographViT

FLAT = 1e-4  # a map that varies by less than this part of its largest value says nothing


class Method(StrEnum):
    """How attention becomes a map.

    ROLLOUT: attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928), the same map for every class. GRADIENT:
    attention weighted by the gradient of a class's logit (Chefer, Gur and Wolf 2021, arXiv 2103.15679).
    """

    ROLLOUT = "rollout"
    GRADIENT = "gradient"


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


def read_out(matrix: Tensor, prefix: int, grid: tuple[int, int], by_token: bool) -> Tensor:
    """What the pooled tokens take from each patch. matrix: (B, L, L). Returns (B, rows, columns).

    by_token: a classifier that reads the class token, the first one; else the mean of the patches.
    """
    patches = matrix[:, 0, prefix:] if by_token else matrix[:, prefix:, prefix:].mean(1)  # (B, h*w)
    return patches.reshape(-1, *grid)


def saliency_maps(model: RadiographViT, images: Tensor, method: Method, labels: Sequence[int] | None = None) -> Tensor:
    """One map a class of each image: (B, K, rows, columns) of patches, at least 0, on no scale of its own.

    labels: only maps of these classes, in this order.
    images: (B, 1, H, W), normalised, on the model's device. Memory grows with the square of the tokens and with the
    batch. What a patch keeps of itself is left out of GRADIENT: it is the same for all patches. Raises ConfigError as
    `record` does.
    """
    found = record(model, images, differentiable=method is Method.GRADIENT)
    by_token = model.spec.pool == "token" and found.prefix > 0
    wanted = range(found.logits.shape[1]) if labels is None else labels
    if method is Method.ROLLOUT:
        matrix = rollout(found.attention)
        return read_out(matrix, found.prefix, found.grid, by_token)[:, None].repeat(1, len(wanted), 1, 1)
    maps = []
    for k in wanted:
        logit = found.logits[:, k].sum()  # images of a batch don't mix, so one pass back serves them all
        gradients = torch.autograd.grad(logit, found.attention, retain_graph=True)
        with torch.no_grad():
            matrix = relevance(found.attention, gradients) - _identity(found.attention[0])
            maps.append(read_out(matrix, found.prefix, found.grid, by_token))
    return torch.stack(maps, 1).detach()


def relative(maps: Tensor) -> Tensor:
    """Each map from 0 at its least to 1 at its most; all 0 where it is flat or no number. maps: (..., h, w)."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    says = torch.isfinite(low + high) & (high - low > FLAT * high.abs().maximum(low.abs()))
    return torch.where(says, (maps - low) / torch.where(says, high - low, 1.0), 0.0)


def _identity(weights: Tensor) -> Tensor:
    """(L, L) of a (B, heads, L, L), to be broadcast over the batch."""
    return torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device).expand(len(weights), -1, -1)
