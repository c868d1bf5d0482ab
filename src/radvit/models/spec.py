"""What a whole model is, as a record that a saved model carries; nothing here computes, or loads what does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from radvit.errors import BundleError
from radvit.models.backbone.spec import BackboneSpec
from radvit.models.decode import DecodeSpec
from radvit.models.detectors import DetectorKind
from radvit.models.windows import Blend, WindowSpec
from radvit.records import Task


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model is, without its weights.

    hidden, dropout, pool: the classification head. strides, width: the detection head's pyramid, pixels and channels;
    a segmenter gives its masks at the first stride. window: a detector that is a classifier slid over the image, with
    the classification head; its backbone's image_size is a window's side. detector: what a dense detector's locations
    answer; decode: how their maps become boxes.
    """

    task: Task
    classes: int
    backbone: BackboneSpec
    hidden: int = 512
    dropout: float = 0.3
    pool: str = "token"
    strides: tuple[int, ...] = (8,)
    width: int = 128
    window: WindowSpec | None = None
    detector: DetectorKind = DetectorKind.HEAT
    decode: DecodeSpec = field(default_factory=DecodeSpec)

    def merging(self, share: float) -> ModelSpec:
        """The same model, whose weights fit as they are, with another share of its tokens merged; see BackboneSpec."""
        return replace(self, backbone=replace(self.backbone, merge_tokens=share))

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON takes."""
        return {**asdict(self), "task": self.task.value}

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> ModelSpec:
        """The inverse of to_dict. Raises BundleError where a field is missing or unknown."""
        try:
            backbone = {**fields["backbone"], "stem": tuple(fields["backbone"]["stem"])}
            rest = {**fields, "task": Task(fields["task"]), "strides": tuple(fields["strides"])}
            if fields.get("window") is not None:
                rest["window"] = WindowSpec(**{**fields["window"], "blend": Blend(fields["window"]["blend"])})
            if "detector" in fields:
                rest["detector"] = DetectorKind(fields["detector"])
            if "decode" in fields:
                rest["decode"] = DecodeSpec(**fields["decode"])
            return ModelSpec(**{**rest, "backbone": BackboneSpec(**backbone)})
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"architecture record does not fit this version of radvit: {error}") from error


def output_names(spec: ModelSpec) -> tuple[str, ...]:
    """Names of a model's outputs, in their order."""
    if spec.task is Task.CLASSIFY:
        return ("logits",)
    if spec.window is not None:
        return ("windows",)
    if spec.task is Task.SEGMENT:
        return (f"mask_{spec.strides[0]}",)
    kinds = ("score", "box", "center") if spec.detector is DetectorKind.CENTRENESS else ("score", "box")
    return tuple(f"{kind}_{stride}" for stride in spec.strides for kind in kinds)
