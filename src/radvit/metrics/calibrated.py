"""What a saved model does to its scores: one map for those of images, one for those of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from radvit.metrics.calibration import Floats, Platt, Temperature


@dataclass(frozen=True, slots=True)
class Calibration:
    """The maps of a model, fitted on validation images.

    images: None where the boxes' map serves both, so that an image has the calibrated score of its best box, and 0
    where it has none: as all models of earlier versions have it.
    """

    images: Platt | Temperature | None = None
    boxes: Platt = field(default_factory=Platt)

    def of_images(self, scores: Floats) -> Floats:
        """Probabilities of images, of the same shape (..., K)."""
        return (self.boxes if self.images is None else self.images).apply(scores)

    def of_boxes(self, scores: Floats) -> Floats:
        """Probabilities of boxes, of the same shape."""
        return self.boxes.apply(scores)

    def words(self) -> str:
        """Both maps, for reports."""
        if self.images is None:
            return f"image and box scores by {self.boxes.words()}"
        boxes = "" if self.boxes == Platt() else f"; box scores by {self.boxes.words()}"
        return f"image scores by {self.images.words()}{boxes}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a bundle's JSON."""
        return {"images": None if self.images is None else asdict(self.images), "boxes": asdict(self.boxes)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`. Of an earlier version: one Platt scaling for both, or nothing."""
        if not values:
            return Calibration()
        if "slope" in values:
            return Calibration(boxes=Platt.from_dict(values))
        images = values["images"]
        if images is None:
            return Calibration(boxes=Platt.from_dict(values["boxes"]))
        one = Temperature.from_dict(images) if "temperature" in images else Platt.from_dict(images)
        return Calibration(one, Platt.from_dict(values["boxes"]))
