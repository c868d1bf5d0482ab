"""The two heads: one score an image, or one score and one box a location."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, Features
from radvit.models.detectors import DetectorKind

PRIOR = 0.01  # score of every location before training, so that empty ones don't swamp the loss (Lin et al. 2017)
POOLS = ("token", "mean", "lse")
SHARPNESS = 5.0  # of the smooth maximum: 0 is the mean, infinity the largest
LARGEST_LOG_SIDE = 4.0  # exp(4) = 55 cells from a centre to a side


class ClassifyHead(nn.Module):
    """Class token, mean token or every token -> Linear -> ReLU -> Dropout -> classes.

    pool: `token`, `mean`, or `lse`, where each patch gets a score of its own and the image's logit is a smooth maximum
    of them, so that a lesion of few patches isn't lost in a mean (Pinheiro and Collobert 2015, arXiv 1411.6228).
    """

    def __init__(self, width: int, classes: int, hidden: int, dropout: float, pool: str) -> None:
        super().__init__()
        if pool not in POOLS:
            raise ConfigError(f"model.pool={pool}; expected one of {', '.join(POOLS)}")
        self.pool = pool
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Returns {"logits": (B, classes)}."""
        if self.pool == "lse":
            scores = self.patch_logits(features).flatten(2)  # (B, classes, h*w)
            smooth = torch.logsumexp(SHARPNESS * scores, 2) - math.log(scores.shape[2])
            return {"logits": smooth / SHARPNESS}
        pooled = features.summary if self.pool == "token" else features.tokens.mean((2, 3))
        return {"logits": self.layers(pooled)}

    def patch_logits(self, features: Features) -> Tensor:
        """What is said of each patch by itself, (B, classes, rows, columns)."""
        scores: Tensor = self.layers(features.tokens.permute(0, 2, 3, 1))
        return scores.permute(0, 3, 1, 2)


def rescale(width: int, steps: int) -> nn.Sequential:
    """Change a map's stride by powers of two: steps > 0 doubles its resolution so often, steps < 0 halves it."""
    layers: list[nn.Module] = []
    for _ in range(steps):
        layers += [nn.ConvTranspose2d(width, width, 2, stride=2), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if steps < 0:
        layers.append(nn.MaxPool2d(2**-steps))
    return nn.Sequential(*layers)


class PyramidLevel(nn.Module):
    """One level of the simple feature pyramid (Li et al. 2022, ViTDet); a skip from the stem where strides agree."""

    def __init__(self, backbone: Backbone, stride: int, width: int) -> None:
        super().__init__()
        steps = math.log2(backbone.stride / stride)
        if not steps.is_integer():
            raise ConfigError(f"model.strides has {stride}; expected {backbone.stride} times a power of two")
        self.project = nn.Conv2d(backbone.width, width, 1)
        self.rescale = rescale(width, int(steps))
        skip = backbone.stem_width and backbone.stem_stride == stride
        self.skip = nn.Conv2d(backbone.stem_width, width, 1) if skip else None
        self.norm = nn.BatchNorm2d(width)

    def forward(self, features: Features) -> Tensor:
        """Returns (B, width, H/stride, W/stride)."""
        x: Tensor = self.rescale(self.project(features.tokens))
        if self.skip is not None and features.stem is not None:
            x = x + self.skip(features.stem)
        return nn.functional.relu(self.norm(x))


class DetectHead(nn.Module):
    """Scores and boxes at every location of each pyramid level; the towers are shared between the levels."""

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        strides: tuple[int, ...],
        width: int,
        kind: DetectorKind = DetectorKind.HEAT,
    ) -> None:
        super().__init__()
        self.strides = strides
        self.levels = nn.ModuleList(PyramidLevel(backbone, stride, width) for stride in strides)
        self.tower = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.score = nn.Conv2d(width, classes, 3, padding=1)
        self.box = nn.Conv2d(width, 4, 3, padding=1)
        self.center = nn.Conv2d(width, 1, 3, padding=1) if kind is DetectorKind.CENTRENESS else None
        nn.init.constant_(self.score.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.zeros_(self.box.weight)
        nn.init.zeros_(self.box.bias)  # type: ignore[arg-type]

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Maps of every level, by stride.

        Returns {"score_8": (B, classes, H/8, W/8) logits, "box_8": (B, 4, H/8, W/8)}, and so on; a box is the distance
        from the cell's centre to its left, top, right and bottom side in pixels of the input, always positive. With
        centreness also "center_8": (B, 1, H/8, W/8) logits.
        """
        maps: dict[str, Tensor] = {}
        for stride, level in zip(self.strides, self.levels, strict=True):
            x = self.tower(level(features))
            maps[f"score_{stride}"] = self.score(x)
            maps[f"box_{stride}"] = stride * torch.exp(self.box(x).clamp(-LARGEST_LOG_SIDE, LARGEST_LOG_SIDE))
            if self.center is not None:
                maps[f"center_{stride}"] = self.center(x)
        return maps
