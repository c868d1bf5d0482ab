"""A whole model: backbone and head, built from a record that a saved model carries."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from radvit.models.backbone import Backbone, Normalisation
from radvit.models.heads import ClassifyHead, DetectHead
from radvit.models.segment import SegmentHead
from radvit.models.sliding import slide
from radvit.models.spec import ModelSpec
from radvit.records import Task


class RadiographViT(nn.Module):
    """A Vision Transformer with the head of its task."""

    def __init__(self, spec: ModelSpec, pretrained: bool = False, normalise: Normalisation | None = None) -> None:
        """pretrained, normalise: as for Backbone."""
        super().__init__()
        self.backbone = Backbone(spec.backbone, pretrained, normalise)
        self.spec = replace(spec, backbone=self.backbone.spec)  # complete: rebuilds the model without the hub
        self.head: nn.Module
        if spec.task is Task.DETECT and spec.window is None:
            self.head = DetectHead(self.backbone, spec.classes, spec.strides, spec.width, spec.detector)
        elif spec.task is Task.SEGMENT:
            self.head = SegmentHead(self.backbone, spec.classes, spec.strides[0], spec.width)
        else:
            self.head = ClassifyHead(self.backbone.width, spec.classes, spec.hidden, spec.dropout, spec.pool)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """images: (B, channels, H, W), normalised. Returns the head's maps or logits by name."""
        if self.spec.window is not None:
            return {"windows": slide(images, self.spec.window, lambda cut: self.head(self.backbone(cut))["logits"])}
        outputs: dict[str, Tensor] = self.head(self.backbone(images))
        return outputs
