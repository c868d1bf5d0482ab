"""The schemas of how answers are judged: hit rule, calibration, thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from radvit.config.ranges import INF, check_ranges
from radvit.errors import ConfigError


class HitRuleName(Enum):
    """When a detection counts as having found a lesion; see radvit.metrics.matching."""

    center = "center"
    iou = "iou"
    distance = "distance"
    distance_mm = "distance_mm"


class ThresholdRule(Enum):
    """How the operating threshold of image scores is chosen on the validation split."""

    youden = "youden"
    smooth_youden = "smooth_youden"
    accuracy = "accuracy"
    specificity = "specificity"


class CalibrationName(Enum):
    """How scores become probabilities; auto: as fits the task, see radvit.evaluation.calibrate."""

    auto = "auto"
    platt = "platt"
    temperature = "temperature"
    none = "none"


@dataclass
class HitConfig:
    """When a detection finds a lesion. value: the least IoU, or the largest distance in pixels or millimetres.

    rule: null for the centre of the box within the lesion's, and in evaluate.py for what the model's own thresholds
    were chosen with.
    """

    rule: HitRuleName | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        check_ranges("hit", vars(self), value=(0.0, 1.0 if self.rule is HitRuleName.iou else INF))
        needed = self.rule not in (None, HitRuleName.center)
        if needed and not self.value:
            raise ConfigError(f"hit.rule={self.rule.value if self.rule else None} needs hit.value above 0")
        if not needed and self.value is not None:
            raise ConfigError(f"hit.value={self.value:g} is for hit.rule=iou, distance or distance_mm")
