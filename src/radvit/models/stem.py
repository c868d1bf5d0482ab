"""Convolutional stems: what is local is learned by convolutions, what is not by the transformer after them."""

from __future__ import annotations

from torch import Tensor, nn


def make_stem(channels: int, widths: tuple[int, ...], blocks: int) -> nn.Sequential | None:
    """The stem of so many widths and residual blocks after each; None for no width."""
    if not widths:
        return None
    return residual_stem(channels, widths, blocks) if blocks else conv_stem(channels, widths)


def conv_stem(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Stride-2 3x3 convolutions with batch normalisation, which folds into them at inference.

    Maps (B, channels, H, W) to (B, widths[-1], H/2^n, W/2^n).
    """
    layers: list[nn.Module] = []
    for before, after in zip((channels, *widths), widths, strict=False):
        layers += _convolution(before, after, stride=2)
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input (He et al. 2016); a new block changes nothing but for a ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)  # Goyal et al. 2017, section 5.1: training starts as that of a shallow stem
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            last,
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        out: Tensor = self.relu(x + self.branch(x))
        return out


def residual_stem(channels: int, widths: tuple[int, ...], blocks: int) -> nn.Sequential:
    """A convolution at full resolution, then a stride-2 convolution and `blocks` residual blocks for each width.

    Maps (B, channels, H, W) to (B, widths[-1], H/2^n, W/2^n). Batch normalisation folds into the convolutions at
    inference, as in the plain stem.
    """
    layers = _convolution(channels, widths[0], stride=1)
    for before, after in zip((widths[0], *widths), widths, strict=False):
        layers += [*_convolution(before, after, stride=2), *(ResidualBlock(after) for _ in range(blocks))]
    return nn.Sequential(*layers)


def _convolution(before: int, after: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
