"""Attention within windows of patches, so that its cost grows with the image's area and not with its square.

Blocks between those that see all patches are each called on windows of them (Li et al. 2022, ViTDet, section 3). The
library's own blocks stay as they are, so weights of models trained without windows fit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from radvit.errors import ConfigError
from radvit.models.backbone.protocol import Grid
from radvit.models.backbone.spec import BackboneSpec


def check_windows(spec: BackboneSpec, stride: int, rotary: bool) -> None:
    """Raise ConfigError where a backbone can't attend within the spec's windows. stride: pixels of a token."""
    side = spec.attention_window
    if side is None:
        return
    tokens = spec.image_size // stride
    if tokens % side:
        raise ConfigError(f"model.attention_window={side} with {tokens} tokens a side; expected a divisor of them")
    if rotary:
        raise ConfigError(f"model.attention_window={side} with {spec.name}: its rotary positions know no windows")


def within_windows(
    block: Callable[[Tensor], Tensor], sequence: Tensor, grid: Grid, prefix: int, side: int | None
) -> Tensor:
    """A block over each window by itself. sequence: (B, prefix + h*w, C); grid: (h, w), multiples of side.

    side: of a window, in patches; None for one window that holds whatever patches there are.

    Each window has its own copy of the prefix tokens (class and registers); they leave as the mean of all copies.
    Raises ValueError where the patches are not those of the whole grid.
    """
    if side is None:
        return block(sequence)
    batch, length, width = sequence.shape
    rows, columns = grid[0] // side, grid[1] // side
    if length - prefix != grid[0] * grid[1] or grid[0] % side or grid[1] % side:
        raise ValueError(f"{length - prefix} patches of {grid[0]} x {grid[1]}; expected all, in windows of {side}")
    apart = (batch, rows, side, columns, side, width)
    cut = sequence[:, prefix:].reshape(apart).transpose(2, 3).reshape(-1, side * side, width)  # (B*n, side*side, C)
    copies = sequence[:, :prefix].repeat_interleave(rows * columns, 0)  # (B*n, prefix, C)
    seen = block(torch.cat([copies, cut], 1))
    head = seen[:, :prefix].reshape(batch, rows * columns, prefix, width).mean(1)
    together = (batch, rows, columns, side, side, width)
    patches = seen[:, prefix:].reshape(together).transpose(2, 3).reshape(batch, -1, width)  # (B, h*w, C)
    return torch.cat([head, patches], 1)
