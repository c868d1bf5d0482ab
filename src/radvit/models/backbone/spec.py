"""What a backbone is, without its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from radvit.errors import ConfigError


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
