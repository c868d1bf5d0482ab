"""The schema of what counts as a lesion found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from radvit.errors import ConfigError


class HitName(Enum):
    """When a detection has found a lesion: its centre lies in the true box, the two overlap, or centres are near."""

    center = "center"
    iou = "iou"
    distance = "distance"


@dataclass
class HitConfig:
    """rule, and value: the least IoU of `iou`, the largest distance of `distance` in pixels of the stored image.

    Not given, evaluate.py takes what the model's operating point was chosen with, and train.py `center`.
    """

    rule: HitName | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        wanted = {HitName.iou: "a number above 0, at most 1", HitName.distance: "pixels above 0"}
        if self.rule in wanted:
            highest = 1.0 if self.rule is HitName.iou else float("inf")
            if self.value is None or not 0 < self.value <= highest:
                raise ConfigError(f"hit.rule={self.rule.value} hit.value={self.value}; expected {wanted[self.rule]}")
        elif self.value is not None:
            rule = "null" if self.rule is None else self.rule.value
            raise ConfigError(f"hit.rule={rule} hit.value={self.value}; expected a value with iou or distance only")
