"""What a backbone is, what it gives, and the protocol that the libraries' Vision Transformers are brought to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from radvit.errors import ConfigError

Grid = tuple[int, int]  # rows and columns of patches
State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """What a backbone is; enough to build it again from a saved model.

    name: a Vision Transformer of timm, of transformers' hub, or a folder that either has saved. image_size: side of the
    square input, pixels. stem: widths of 3x3 stride-2 convolutions before the patch embedding (Xiao et al. 2021, "Early
    convolutions help transformers see better"); () for none. stem_blocks: residual blocks after each of these
    (see radvit.models.stem), 0 for the plain stem. patch_size: side of a patch on the stem's output, pixels there. None
    keeps what the named model has. attention_window: side of the windows, in patches, within which blocks attend; None
    for all patches; every `global_every`th block sees all in any case. merge_tokens: share of the patch tokens present
    that merges into others after each block but the last, 0 for none (see radvit.models.backbone.merging); it changes
    no weight. config: the architecture in its library's own words, filled in as a backbone is built where the name
    alone would not rebuild it without the hub.
    """

    name: str
    image_size: int
    channels: int = 1
    stem: tuple[int, ...] = ()
    stem_blocks: int = 0
    patch_size: int | None = None
    embed_dim: int | None = None
    depth: int | None = None
    num_heads: int | None = None
    drop_path: float = 0.0
    attention_window: int | None = None
    global_every: int = 3
    merge_tokens: float = 0.0
    config: dict[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if self.image_size % 2 ** len(self.stem):
            raise ConfigError(f"image size {self.image_size} px; expected a multiple of {2 ** len(self.stem)}")
        if self.stem_blocks and not self.stem:
            raise ConfigError(f"model.stem_blocks={self.stem_blocks} without model.stem; expected the stem's widths")
        if not 0 <= self.merge_tokens <= 0.5:
            raise ConfigError(f"model.merge_tokens={self.merge_tokens}; expected a share from 0 to 0.5")
        if self.merge_tokens and self.attention_window is not None:
            raise ConfigError(
                f"model.merge_tokens={self.merge_tokens} with model.attention_window={self.attention_window}: merged "
                "tokens fill no windows; expected only one of them"
            )

    @property
    def vit_size(self) -> int:
        """Side of what the transformer itself sees, pixels: the input, or the stem's output."""
        return self.image_size // int(2 ** len(self.stem))

    @property
    def vit_channels(self) -> int:
        """Channels of what the transformer itself sees."""
        return self.stem[-1] if self.stem else self.channels

    def window_of(self, block: int) -> int | None:
        """Side of the windows in patches within which a block attends, None where it sees all. block: from 0."""
        return None if (block + 1) % self.global_every == 0 else self.attention_window

    def overrides(self) -> dict[str, int]:
        """The architecture arguments that differ from the named model."""
        given = {"patch_size": self.patch_size, "embed_dim": self.embed_dim, "depth": self.depth}
        given["num_heads"] = self.num_heads
        return {key: value for key, value in given.items() if value is not None}


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
