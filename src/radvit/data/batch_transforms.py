"""The changes of radvit.data.transforms, applied to a batch at once on the device it is on.

What was drawn travels beside the batch as small tensors; the noise comes as counts of ones, a byte a pixel, so that it
is the same noise. In float32 on the CPU, images agree with those of the other path to a step of its tone table,
1/4096 grey (with OpenCV 5; earlier ones place pixels to 1/32 px); boxes are moved by the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from radvit.data.transforms import (
    NOISE_MEAN,
    NOISE_SCALE,
    SHARPEN_SIGMA,
    Augment,
    cutout_px,
    matrix,
    noise_ones,
    shading_basis,
)

Theta = npt.NDArray[np.float32]


class Changes(NamedTuple):
    """Changes of B images; None where none of them has such a change. A tuple, because Lightning moves those.

    theta: (B, 2, 3), where each place of the new image comes from, in [-1, 1] across the image. tone: (B, 3) gamma,
    contrast, brightness. kernels: (B, k) Gaussians, k odd. noise: (B,) standard deviation, and ones: (B, S, S) uint8
    (see transforms.noise_ones). cutout: (B, 4) int64, x, y, w, h in pixels; w of 0 for none. shading: (B, 3, 3) grey
    added at corners, sides and centre. sharpen: (B,) part added of what a blur takes away.
    """

    theta: Tensor | None = None
    tone: Tensor | None = None
    kernels: Tensor | None = None
    noise: Tensor | None = None
    ones: Tensor | None = None
    cutout: Tensor | None = None
    shading: Tensor | None = None
    sharpen: Tensor | None = None


def gather(changes: Sequence[Augment], size: int) -> Changes:
    """Drawn changes of images of side `size`, as tensors on the CPU."""
    still, plain = all(c.still for c in changes), all(_tone(c) == (1.0, 1.0, 0.0) for c in changes)
    noisy, cut = any(c.noise > 0 for c in changes), any(c.cutout for c in changes)
    shaded, sharp = any(c.shading for c in changes), any(c.sharpen > 0 for c in changes)
    ones = [
        noise_ones((size, size), c.noise_seed) if c.noise > 0 else np.zeros((size, size), np.uint8) for c in changes
    ]
    return Changes(
        theta=None if still else torch.from_numpy(np.stack([_theta(c) for c in changes])),
        tone=None if plain else torch.tensor([_tone(c) for c in changes]),
        kernels=_kernels([c.blur for c in changes], size) if any(c.blur > 0 for c in changes) else None,
        noise=torch.tensor([c.noise for c in changes]) if noisy else None,
        ones=torch.from_numpy(np.stack(ones)) if noisy else None,
        cutout=torch.tensor([cutout_px(c.cutout or (0, 0, 0, 0), size) for c in changes]) if cut else None,
        shading=torch.tensor([c.shading or (0.0,) * 9 for c in changes]).view(-1, 3, 3) if shaded else None,
        sharpen=torch.tensor([c.sharpen for c in changes]) if sharp else None,
    )


def apply_batch(changes: Changes, images: Tensor) -> Tensor:
    """Change images. images: (B, 1, S, S) float32 in [0, 1], on the device of the changes. Returns new ones."""
    if changes.theta is not None:
        images = warp(images, changes.theta, "bilinear")
    if changes.tone is not None:
        gamma, contrast, brightness = changes.tone[:, :, None, None, None].unbind(1)  # each (B, 1, 1, 1)
        images = (images**gamma * contrast + (0.5 - 0.5 * contrast + brightness)).clamp(0, 1)
    if changes.shading is not None:
        basis = torch.from_numpy(shading_basis(images.shape[-1])).to(images)
        images = (images + (basis @ changes.shading.to(images) @ basis.T)[:, None]).clamp(0, 1)
    if changes.kernels is not None:
        images = blur(images, changes.kernels)
    if changes.sharpen is not None:
        soft = blur(images, _kernels([SHARPEN_SIGMA], images.shape[-1]).to(images).expand(len(images), -1))
        images = (images + changes.sharpen[:, None, None, None] * (images - soft)).clamp(0, 1)
    if changes.noise is not None and changes.ones is not None:
        field = (changes.ones[:, None].to(images.dtype) - NOISE_MEAN) * NOISE_SCALE
        images = images + changes.noise[:, None, None, None] * field
    if changes.cutout is not None:
        images = torch.where(_inside(changes.cutout, images.shape[-1]), images.mean((1, 2, 3), keepdim=True), images)
    return images.clamp(0, 1)


def apply_batch_mask(changes: Changes, masks: Tensor) -> Tensor:
    """Move masks with their images, by the nearest pixel. masks: (B, S, S) uint8. Returns the same form."""
    if changes.theta is None:
        return masks
    return warp(masks[:, None].to(torch.float32), changes.theta, "nearest")[:, 0].round().to(torch.uint8)


def warp(images: Tensor, theta: Tensor, mode: str) -> Tensor:
    """Resample images, zeros around them. images: (B, 1, S, S); theta: (B, 2, 3), see Changes; mode: of grid_sample."""
    from monai.networks.layers import AffineTransform  # takes seconds to import, and only this path needs it

    moved: Tensor = AffineTransform(
        normalized=True, mode=mode, padding_mode="zeros", align_corners=False, reverse_indexing=False
    )(images, theta)
    return moved


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each image with a kernel of its own along rows and columns, reflected at the border (without the edge).

    images: (B, 1, S, S); kernels: (B, k), k odd and at most 2 S - 1. MONAI's filters take one sigma for a whole batch.
    """
    count, size = kernels.shape
    pad = size // 2
    side_by_side = F.pad(images.transpose(0, 1), (pad, pad, pad, pad), mode="reflect")  # (1, B, S + 2 pad, S + 2 pad)
    across = F.conv2d(side_by_side, kernels[:, None, None, :], groups=count)
    return F.conv2d(across, kernels[:, None, :, None], groups=count).transpose(0, 1)


def _tone(change: Augment) -> tuple[float, float, float]:
    return change.gamma, change.contrast, change.brightness


def _theta(change: Augment) -> Theta:
    """The inverse of transforms.matrix, in coordinates that go from -1 to 1 across the image."""
    affine = matrix(change, 2).astype(np.float64)  # an image of side 2: then such coordinates are pixels less 1
    back = np.linalg.inv(affine[:, :2])
    offset = back @ (np.ones(2) - affine[:, 2]) - 1
    return np.column_stack([back, offset]).astype(np.float32)


def _kernels(sigmas: Sequence[float], size: int) -> Tensor:
    """Gaussians as OpenCV makes them for float images: cut off at four sigma. Returns (B, k), of the widest one's k."""
    radii = [min((round(8 * sigma + 1) | 1) // 2, size - 1) for sigma in sigmas]
    offsets = np.arange(-max(radii), max(radii) + 1)
    kernels = np.zeros((len(sigmas), len(offsets)))
    for kernel, sigma, radius in zip(kernels, sigmas, radii, strict=True):
        near = np.abs(offsets) <= radius
        kernel[near] = np.exp(-(offsets[near] ** 2) / (2 * sigma**2)) if sigma > 0 else offsets[near] == 0
    return torch.from_numpy((kernels / kernels.sum(1, keepdims=True)).astype(np.float32))


def _inside(xywh: Tensor, size: int) -> Tensor:
    """Which pixels lie in each image's rectangle: (B, 1, size, size) bool."""
    at = torch.arange(size, device=xywh.device)
    x, y, w, h = xywh[:, :, None].unbind(1)  # each (B, 1)
    columns, rows = (at >= x) & (at < x + w), (at >= y) & (at < y + h)  # each (B, size)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
