"""The segmentation head: from tokens to a map of each class, over the same pyramid as the detector's."""

from __future__ import annotations

import math

from torch import Tensor, nn

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, Features
from radvit.models.heads import PRIOR, PyramidLevel, rescale


class SegmentHead(nn.Module):
    """One logit a class and cell of `stride` pixels; classes may overlap.

    A pyramid level where the stem can add its detail (its own stride), or at `stride` where that is coarser; from there
    up by transposed convolutions, then one 3x3 convolution before the classes.
    """

    def __init__(self, backbone: Backbone, classes: int, stride: int, width: int) -> None:
        super().__init__()
        steps = math.log2(backbone.stride / stride)
        if not steps.is_integer():
            raise ConfigError(f"model.strides={[stride]}; expected {backbone.stride} times a power of two")
        self.stride = stride
        meeting = max(stride, backbone.stem_stride) if backbone.stem_width else stride
        self.level = PyramidLevel(backbone, meeting, width)
        self.rescale = rescale(width, int(math.log2(meeting / stride)))
        self.tower = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.mask = nn.Conv2d(width, classes, 1)
        nn.init.constant_(self.mask.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]
        nn.init.normal_(self.mask.weight, std=0.01)

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Returns {"mask_4": (B, classes, H/4, W/4) logits} for a stride of 4."""
        return {f"mask_{self.stride}": self.mask(self.tower(self.rescale(self.level(features))))}
