"""One backbone around any timm Vision Transformer: any input size, any number of channels, an optional strided stem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import timm
from torch import Tensor, nn

from radvit.errors import ConfigError
from radvit.models.stem import residual_stem


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """What a backbone is; enough to build it again from a saved model.

    name: a timm ViT. image_size: side of the square input, pixels. stem: widths of 3x3 stride-2 convolutions before the
    patch embedding (Xiao et al. 2021, "Early convolutions help transformers see better"); () for none. stem_blocks:
    residual blocks after each of these (see radvit.models.stem), 0 for the plain stem. patch_size: side of a patch on
    the stem's output, pixels there. None keeps what the named model has.
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

    def __post_init__(self) -> None:
        if self.image_size % 2 ** len(self.stem):
            raise ConfigError(f"image size {self.image_size} px; expected a multiple of {2 ** len(self.stem)}")
        if self.stem_blocks and not self.stem:
            raise ConfigError(f"model.stem_blocks={self.stem_blocks} without model.stem; expected the stem's widths")

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


def make_stem(spec: BackboneSpec) -> nn.Sequential | None:
    """The stem that a backbone has; None where it has none."""
    if not spec.stem:
        return None
    if spec.stem_blocks:
        return residual_stem(spec.channels, spec.stem, spec.stem_blocks)
    return conv_stem(spec.channels, spec.stem)


def conv_stem(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Stride-2 3x3 convolutions with batch normalisation, which folds into them at inference.

    Maps (B, channels, H, W) to (B, widths[-1], H/2^n, W/2^n).
    """
    layers: list[nn.Module] = []
    for before, after in zip((channels, *widths), widths, strict=False):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def create_vit(spec: BackboneSpec, pretrained: bool) -> nn.Module:
    """A timm ViT without its classifier; position embeddings are resampled to the input's size.

    Raises ConfigError where the name is no timm ViT, or where pretrained weights are asked for and can't be had.
    """
    if spec.name not in timm.list_models(spec.name.split(".")[0]) and not timm.is_model(spec.name):
        raise ConfigError(
            f"model.name={spec.name} is no timm model; `python -c 'import timm; print(timm.list_models())'`"
        )
    if pretrained and spec.stem:
        raise ConfigError(
            "model.pretrained=true with model.stem: published weights have no such stem; set model.stem=[]"
        )
    size = spec.image_size // 2 ** len(spec.stem)
    channels = spec.stem[-1] if spec.stem else spec.channels
    arguments = {"img_size": size, "in_chans": channels, "drop_path_rate": spec.drop_path, **spec.overrides()}
    try:
        vit: nn.Module = timm.create_model(
            spec.name, pretrained=pretrained, num_classes=0, dynamic_img_size=True, **arguments
        )
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise ConfigError(
            f"no pretrained weights for {spec.name}: this machine can't reach them and has no copy "
            f"({type(error).__name__}); set model.pretrained=false or fill the hub's cache first"
        ) from error
    except TypeError as error:
        raise ConfigError(f"model.name={spec.name} is no Vision Transformer that takes any size: {error}") from error
    except (ValueError, AssertionError, ZeroDivisionError) as error:
        raise ConfigError(f"model.name={spec.name} can't be built with {arguments}: {error}") from error
    if not hasattr(vit, "num_prefix_tokens") or not hasattr(vit, "patch_embed"):
        raise ConfigError(f"model.name={spec.name} is no Vision Transformer; expected one such as vit_base_patch16_224")
    return vit


class Backbone(nn.Module):
    """A stem (if any) and a timm ViT.

    stride: pixels of the input a token covers. stem_stride: the same for the stem's map.
    """

    def __init__(self, spec: BackboneSpec, pretrained: bool = False) -> None:
        super().__init__()
        self.stem = make_stem(spec)
        self.vit = create_vit(spec, pretrained)
        patch = self.vit.patch_embed.patch_size  # type: ignore[union-attr]
        self.patch = int(patch[0])  # type: ignore[index]
        self.stem_stride = 2 ** len(spec.stem)
        self.stride = self.patch * self.stem_stride
        self.width = int(self.vit.num_features)  # type: ignore[arg-type]
        self.stem_width = spec.stem[-1] if spec.stem else 0
        self.prefix = int(self.vit.num_prefix_tokens)  # type: ignore[arg-type]
        if spec.image_size % self.stride:
            raise ConfigError(f"image size {spec.image_size} px; expected a multiple of the token stride {self.stride}")

    def forward(self, images: Tensor) -> Features:
        """images: (B, channels, H, W), H and W multiples of the token stride. Returns Features."""
        stem = self.stem(images) if self.stem is not None else None
        x = images if stem is None else stem
        sequence: Tensor = self.vit.forward_features(x)  # type: ignore[operator]  # (B, prefix + h*w, C)
        patches = sequence[:, self.prefix :]
        rows, columns = x.shape[2] // self.patch, x.shape[3] // self.patch
        tokens = patches.transpose(1, 2).reshape(-1, self.width, rows, columns)  # (B, h*w, C) -> (B, C, h, w)
        summary = sequence[:, 0] if self.prefix else patches.mean(1)
        return Features(summary, tokens, stem)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable weights."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
