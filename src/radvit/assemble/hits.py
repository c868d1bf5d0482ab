"""What counts as a lesion found."""

from __future__ import annotations

from radvit.config import HitConfig
from radvit.metrics.matching import CENTER_INSIDE, HitKind, HitRule


def hit_rule(config: HitConfig, default: HitRule = CENTER_INSIDE) -> HitRule:
    """The rule; `default` where none is given."""
    return default if config.rule is None else HitRule(HitKind(config.rule.value), config.value or 0.0)
