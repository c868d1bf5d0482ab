"""What a backbone gives, and the protocol that the libraries' Vision Transformers are brought to."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor, nn

Grid = tuple[int, int]  # rows and columns of patches
State = dict[str, Tensor]


class Features(NamedTuple):
    """What a backbone sees in a batch.

    summary: (B, C) class token, or the mean of the tokens where the model has none. tokens: (B, C, h, w) patch tokens.
    stem: (B, S, H, W) output of the stem, None without one.
    """

    summary: Tensor
    tokens: Tensor
    stem: Tensor | None


class Normalisation(NamedTuple):
    """What is subtracted from grey values in [0, 1], and what they are divided by: a number each channel, or one."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Vit(Protocol):
    """A library's Vision Transformer, without its classifier.

    vit: the library's module; its parameter names are those that library saves. width: channels of a token. patch: side
    of a patch, pixels. prefix: class and register tokens before the patches. depth: number of blocks. rotary: whether
    positions enter in the blocks, so that `encode` must know which patches it is given.
    """

    vit: nn.Module
    width: int
    patch: int
    prefix: int
    depth: int
    rotary: bool

    @property
    def blocks(self) -> nn.ModuleList | nn.Sequential:
        """The blocks, in their order."""
        ...

    @property
    def patch_name(self) -> str:
        """Path of the patch embedding's convolution in `vit`."""
        ...

    @property
    def positions_name(self) -> str | None:
        """Name of the parameter with the learned positions in `vit`, patches last; None where there is none."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """Tokens with their positions, before the first block. Returns (B, prefix + h*w, C)."""
        ...

    def encode(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> Tensor:
        """Blocks and final norm; see Backbone.encode. Returns (B, L, C)."""
        ...

    def fitted(self, state: State) -> State:
        """Weights under the library's names, with patch size and positions resampled to this model's."""
        ...

    def published(self, name: str) -> tuple[State, Normalisation | None]:
        """Weights of the hub, its cache or a folder, at their own size and channels, and what they expect.

        Raises ConfigError where they can't be had.
        """
        ...

    def expected(self) -> Normalisation | None:
        """What weights of this model's name expect, None where that can't be known."""
        ...

    def checkpoint(self) -> None:
        """Compute the blocks' activations again in the backward pass instead of keeping them."""
        ...


def rotary_patches(count: int, grid: Grid, keep: Tensor | None) -> None:
    """Raise ValueError where a model with rotary positions can't tell which patches it is given."""
    if keep is None and count != grid[0] * grid[1]:
        raise ValueError(f"{count} patches of {grid[0]} x {grid[1]}; rotary positions need `keep` to say which")
