"""How answers are judged."""

from __future__ import annotations

from radvit.config import GateConfig, HitConfig
from radvit.evaluation.gate import Tolerances
from radvit.metrics.matching import CENTER_INSIDE, HitKind, HitRule


def hit_rule(config: HitConfig, otherwise: HitRule = CENTER_INSIDE) -> HitRule:
    """When a detection finds a lesion; `otherwise` where the configuration leaves it open."""
    return otherwise if config.rule is None else HitRule(HitKind(config.rule.value), config.value or 0.0)


def tolerances(config: GateConfig) -> Tolerances:
    """How much worse another precision may be than FP32."""
    return Tolerances(config.auroc, config.cpm, config.ece, config.sensitivity, config.dice)
