"""A masked autoencoder: a backbone learns from images alone by drawing the patches that it was not shown.

Source: He et al. 2022, "Masked autoencoders are scalable vision learners".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone

FLAT = 1e-6  # added to a patch's variance, so that a patch of one grey stays finite


@dataclass(frozen=True, slots=True)
class MaeSpec:
    """How a backbone is pretrained.

    mask: share of the patches that are hidden. width, depth, num_heads: the decoder's. normalise: patches to draw are
    brought to mean 0 and spread 1 first, each by itself.
    """

    mask: float = 0.75
    width: int = 512
    depth: int = 8
    num_heads: int = 16
    normalise: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.mask < 1:
            raise ConfigError(f"mae.mask={self.mask}; expected a share between 0 and 1")
        if self.width % 4 or self.width % self.num_heads:
            raise ConfigError(f"mae.width={self.width}; expected a multiple of 4 and of mae.num_heads={self.num_heads}")


class Drawn(NamedTuple):
    """What was drawn of a batch. patches, target: (B, N, P), P values a patch. hidden: (B, N) bool."""

    patches: Tensor
    target: Tensor
    hidden: Tensor


class MaskedAutoencoder(nn.Module):
    """Backbone as encoder of the visible patches, and a light decoder that draws the hidden ones.

    A patch is what one token covers: `backbone.stride` pixels square. With a convolutional stem a token would see into
    its neighbours; so hidden patches are blanked in the image, to its normalised mean of 0, before the stem.
    """

    def __init__(self, backbone: Backbone, size: int, channels: int, spec: MaeSpec) -> None:
        super().__init__()
        self.backbone = backbone
        self.spec = spec
        self.side = size // backbone.stride  # in patches
        self.shown = max(1, round(self.side**2 * (1 - spec.mask)))
        if self.shown == self.side**2:
            raise ConfigError(f"mae.mask={spec.mask} hides none of {self.side**2} patches; expected at least one")
        self.embed = nn.Linear(backbone.width, spec.width)
        self.hidden_token = nn.Parameter(torch.zeros(spec.width))
        self.positions: Tensor  # (1, N, width)
        positions = build_sincos2d_pos_embed([self.side, self.side], spec.width)[None]
        self.register_buffer("positions", positions, persistent=False)
        self.blocks = nn.Sequential(
            *(Block(spec.width, spec.num_heads, qkv_bias=True, norm_layer=nn.LayerNorm) for _ in range(spec.depth))
        )
        self.norm = nn.LayerNorm(spec.width)
        self.draw = nn.Linear(spec.width, channels * backbone.stride**2)
        nn.init.normal_(self.hidden_token, std=0.02)

    def forward(self, images: Tensor, generator: torch.Generator) -> Drawn:
        """Hide patches at random and draw them. images: (B, channels, S, S), normalised; generator: on the CPU."""
        shown = draw_shown(len(images), self.side**2, self.shown, generator).to(images.device)
        hidden = torch.ones(len(images), self.side**2, dtype=torch.bool, device=images.device)
        hidden.scatter_(1, shown, False)
        patches = self.decode(self.encode(images, shown), shown)
        target = to_patches(images, self.backbone.stride)
        return Drawn(patches, standardised(target) if self.spec.normalise else target, hidden)

    def encode(self, images: Tensor, shown: Tensor) -> Tensor:
        """Encoded prefix and shown patches, (B, prefix + V, C). shown: (B, V) indices of patches, row by row."""
        sequence, _ = self.backbone.embed(blanked(images, shown, self.backbone.stride))
        prefix = self.backbone.prefix
        return self.backbone.encode(torch.cat([sequence[:, :prefix], taken(sequence[:, prefix:], shown)], 1), shown)

    def decode(self, encoded: Tensor, shown: Tensor) -> Tensor:
        """Values of every patch, (B, N, P), from what `encode` gave."""
        known = self.embed(encoded)[:, self.backbone.prefix :]  # (B, V, width)
        every = self.hidden_token.to(known.dtype).expand(len(known), self.side**2, -1)
        every = every.scatter(1, shown[:, :, None].expand_as(known), known)
        drawn: Tensor = self.draw(self.norm(self.blocks(every + self.positions)))
        return drawn


def draw_shown(batch: int, patches: int, shown: int, generator: torch.Generator) -> Tensor:
    """Which patches each image of a batch shows: (batch, shown) distinct indices, rising."""
    order = torch.rand(batch, patches, generator=generator).argsort(1)
    return order[:, :shown].sort(1).values


def taken(tokens: Tensor, index: Tensor) -> Tensor:
    """Some tokens of each image. tokens: (B, N, C); index: (B, V). Returns (B, V, C)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def blanked(images: Tensor, shown: Tensor, stride: int) -> Tensor:
    """Images with 0 in every patch that is not shown. images: (B, C, H, W); shown: (B, V)."""
    rows, columns = images.shape[2] // stride, images.shape[3] // stride
    mask = torch.zeros(len(images), rows * columns, dtype=images.dtype, device=images.device).scatter_(1, shown, 1)
    whole = F.interpolate(mask.view(-1, 1, rows, columns), scale_factor=stride, mode="nearest")
    return torch.where(whole > 0, images, 0)


def to_patches(images: Tensor, stride: int) -> Tensor:
    """Pixels by patch: (B, C, H, W) to (B, H/stride * W/stride, C * stride^2)."""
    return F.pixel_unshuffle(images, stride).flatten(2).transpose(1, 2)


def from_patches(patches: Tensor, stride: int, side: int) -> Tensor:
    """The inverse of to_patches for square images: (B, side^2, C * stride^2) to (B, C, side*stride, side*stride)."""
    return F.pixel_shuffle(patches.transpose(1, 2).reshape(len(patches), -1, side, side), stride)


def standardised(patches: Tensor) -> Tensor:
    """Each patch less its mean, over its standard deviation. patches: (B, N, P)."""
    mean, variance = patches.mean(2, keepdim=True), patches.var(2, keepdim=True, unbiased=False)
    return (patches - mean) / (variance + FLAT).sqrt()


def drawing_loss(drawn: Drawn) -> Tensor:
    """Mean squared error over the hidden patches; what was shown counts nothing."""
    each = (drawn.patches - drawn.target).square().mean(2)  # (B, N)
    return (each * drawn.hidden).sum() / drawn.hidden.sum()


def repainted(images: Tensor, drawn: Drawn, stride: int, normalised: bool) -> Tensor:
    """Images with their hidden patches as drawn. images: (B, C, S, S).

    normalised: patches were drawn without their mean and spread; those are taken from the true patch, to be looked at.
    """
    true = to_patches(images, stride)
    patches = drawn.patches
    if normalised:
        spread = (true.var(2, keepdim=True, unbiased=False) + FLAT).sqrt()
        patches = patches * spread + true.mean(2, keepdim=True)
    mixed = torch.where(drawn.hidden[:, :, None], patches, true)
    return from_patches(mixed, stride, images.shape[3] // stride)
