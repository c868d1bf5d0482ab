"""Boxes from a classifier: where it looked, cut out and scored by what it said of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from radvit.errors import ConfigError
from radvit.inference.protocols import Explained
from radvit.models.decode_mask import MaskSpec, component_boxes
from radvit.models.saliency import Method, relative, saliency_maps
from radvit.models.vit import RadiographViT
from radvit.records import Boxes, FloatArray, Task


@dataclass(frozen=True, slots=True)
class SaliencySpec:
    """How a map of where a classifier looked is made and becomes boxes. Maps run from 0 to 1, each by itself.

    threshold: from which a pixel may belong to a box. edge: a box holds the pixels of its connected part with at least
    this share of the part's largest value. most: boxes kept an image.
    """

    method: Method
    threshold: float = 0.5
    edge: float = 0.75
    most: int = 30

    def __post_init__(self) -> None:
        if not (0 < self.threshold <= 1 and 0 < self.edge <= 1):
            raise ConfigError(
                f"saliency.threshold={self.threshold} saliency.edge={self.edge}; expected numbers above 0, 1 at most"
            )


class Explainer:
    """A classifier in PyTorch that says where it looked; see the protocol Explain.

    Raises ConfigError where the model is no classifier: its boxes are its own.
    """

    def __init__(self, model: RadiographViT, spec: SaliencySpec) -> None:
        if model.spec.task is not Task.CLASSIFY:
            raise ConfigError(
                f"saliency.method={spec.method} of a model with task {model.spec.task.value}; expected a classifier: "
                "the others give boxes of their own"
            )
        if spec.method is Method.PATCHES and model.spec.pool != "lse":
            raise ConfigError(
                f"saliency.method={spec.method} of a model with model.pool={model.spec.pool}; expected model.pool=lse, "
                "or saliency.method=gradient"
            )
        self.model = model.eval()
        self.spec = spec

    def __call__(self, image: FloatArray, scores: FloatArray) -> Explained:
        """Boxes scored by the image's score of their class times their part's largest value; none of a flat map."""
        maps = whole_maps(self.patches(image), image.shape[-1])
        likeliest = int(np.argmax(scores))
        label = None if self.spec.method is Method.ROLLOUT else likeliest
        return Explained(maps[likeliest], label, weak_boxes(maps, scores, self.spec))

    def patches(self, image: FloatArray, labels: Sequence[int] | None = None) -> Tensor:
        """What `saliency_maps` gives for one image, (K, rows, columns) of patches, on the CPU. image: (1, S, S)."""
        device = next(self.model.parameters()).device
        batch = torch.from_numpy(np.ascontiguousarray(image[None], np.float32)).to(device)
        return saliency_maps(self.model, batch, self.spec.method, labels)[0].float().cpu()


def whole_maps(maps: Tensor, size: int) -> FloatArray:
    """Maps of patches at a square image's resolution, from 0 to 1 each. maps: (K, h, w). Returns (K, size, size)."""
    grown = F.interpolate(relative(maps)[None], size=(size, size), mode="bilinear", align_corners=False)[0]
    return relative(grown).numpy()


def weak_boxes(maps: FloatArray, scores: FloatArray, spec: SaliencySpec) -> Boxes:
    """Boxes around what stands out in the maps of one image, best first. maps: (K, S, S) in [0, 1]; scores: (K,).

    A box's score is its class's score times the largest value inside, so a class's best box has the class's own score.
    """
    found = component_boxes(maps, MaskSpec(faintest=spec.threshold, edge=spec.edge, most=spec.most * len(maps)))
    scored = np.asarray(found.scores * scores[found.labels], np.float32)
    order = np.argsort(-scored, kind="stable")[: spec.most]
    return Boxes(found.xyxy[order], scored[order], found.labels[order])
