"""A backbone: a stem (if any) and a Vision Transformer of timm or of transformers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from torch import Tensor, nn

from radvit.errors import ConfigError
from radvit.models.backbone.loading import Loaded, Weights, load
from radvit.models.backbone.names import Library, library_of
from radvit.models.backbone.protocol import Features, Grid, Normalisation, Vit
from radvit.models.backbone.spec import BackboneSpec
from radvit.models.backbone.windowed import check_windows
from radvit.models.stem import make_stem

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


def build_vit(spec: BackboneSpec, pretrained: bool) -> tuple[Vit, BackboneSpec]:
    """The named Vision Transformer with random weights, and the spec that rebuilds it without the hub.

    Raises ConfigError where neither library has it.
    """
    if spec.config is None:
        library = library_of(spec.name)
    else:
        library = Library.TIMM if "architecture" in spec.config else Library.TRANSFORMERS
    if library is Library.TIMM:
        from radvit.models.backbone import timm_vit

        return timm_vit.build(spec)
    from radvit.models.backbone import transformers_vit  # takes seconds to load

    return transformers_vit.build(spec, pretrained)


class Backbone(nn.Module):
    """A stem (if any) and a Vision Transformer.

    spec: complete, so that it rebuilds the backbone without the hub. stride: pixels of the input a token covers.
    stem_stride: the same for the stem's map. width: channels of a token. prefix: class and register tokens. depth:
    blocks. rotary: whether `encode` must be told which patches it is given.
    """

    def __init__(self, spec: BackboneSpec, pretrained: bool = False, normalise: Normalisation | None = None) -> None:
        """pretrained: with the hub's weights. normalise: of the inputs to come; None where it is the weights' own."""
        super().__init__()
        self.stem = make_stem(spec.channels, spec.stem, spec.stem_blocks)
        self.adapter, self.spec = build_vit(spec, pretrained)
        self.vit = self.adapter.vit
        self.patch = self.adapter.patch
        self.prefix = self.adapter.prefix
        self.width = self.adapter.width
        self.depth = self.adapter.depth
        self.rotary = self.adapter.rotary
        self.stem_stride = 2 ** len(spec.stem)
        self.stride = self.patch * self.stem_stride
        self.stem_width = spec.stem[-1] if spec.stem else 0
        if spec.image_size % self.stride:
            raise ConfigError(f"image size {spec.image_size} px; expected a multiple of the token stride {self.stride}")
        check_windows(self.spec, self.stride, self.rotary)
        if pretrained:
            self.load_pretrained(normalise)

    def load_pretrained(self, normalise: Normalisation | None = None) -> Loaded:
        """Take the weights that the model's name has on the hub; see `load`."""
        if self.stem is not None:
            raise ConfigError(
                "model.pretrained=true with model.stem: published weights have no such stem; set model.stem=[]"
            )
        log.info("fetching the weights of %s, from the hub or its cache", self.spec.name)
        state, expected = self.adapter.published(self.spec.name)
        return self.load(Weights(self.spec.name, state, expected), normalise)

    def load(self, weights: Weights, normalise: Normalisation | None = None) -> Loaded:
        """Take weights from elsewhere, adapted to this size and these channels. normalise: of the inputs to come.

        Raises ConfigError where they are another model's.
        """
        loaded = load(self, self.adapter, self.spec, weights, normalise)
        unknown = normalise is not None and weights.normalise is None
        log.info("%s%s", loaded, ", taken to expect data.mean and data.std" if unknown else "")
        return loaded

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Tokens with their positions, before the first block, and the stem's map.

        images: (B, channels, H, W), H and W multiples of the token stride. Returns (B, prefix + h*w, C), patches row by
        row, and (B, S, H', W') or None.
        """
        stem = self.stem(images) if self.stem is not None else None
        return self.adapter.embed(images if stem is None else stem), stem

    def encode(self, sequence: Tensor, keep: Tensor | None = None, grid: Grid | None = None) -> Tensor:
        """Blocks and final norm over embedded tokens: all, or the prefix and any of the patches.

        sequence: (B, L, C), the prefix first. keep: (B, L - prefix) int64, which patch each is, counted row by row.
        grid: rows and columns of all patches, None for those of an image of the spec's size. Only models with rotary
        positions (`rotary`) look at the two; they raise ValueError where part of the patches come without `keep`.
        Returns (B, L, C).
        """
        side = self.spec.image_size // self.stride
        return self.adapter.encode(sequence, grid or (side, side), keep)

    def forward(self, images: Tensor) -> Features:
        """images: (B, channels, H, W), H and W multiples of the token stride. Returns Features."""
        rows, columns = images.shape[2] // self.stride, images.shape[3] // self.stride
        sequence, stem = self.embed(images)
        encoded = self.encode(sequence, grid=(rows, columns))
        patches = encoded[:, self.prefix :]
        tokens = patches.transpose(1, 2).reshape(-1, self.width, rows, columns)  # (B, h*w, C) -> (B, C, h, w)
        summary = encoded[:, 0] if self.prefix else patches.mean(1)
        return Features(summary, tokens, stem)

    def train(self, mode: bool = True) -> Backbone:
        """Set training mode; a part without trainable weights stays in evaluation mode, so that nothing in it moves."""
        super().train(mode)
        for part in self._parts():
            if not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self

    def _parts(self) -> Iterator[nn.Module]:
        yield from (part for part in (self.stem, self.vit) if part is not None)


def count_parameters(model: nn.Module, frozen: bool = False) -> int:
    """Number of trainable weights; frozen: with those that are not trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or frozen)
