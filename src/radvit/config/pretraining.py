"""The schema of pretraining."""

from __future__ import annotations

from dataclasses import dataclass

from radvit.config.ranges import INF, check_ranges


@dataclass
class MaeConfig:
    """What `model.task=mae` takes: the share of patches to hide, and the decoder; see radvit.models.mae."""

    mask: float = 0.75
    width: int = 512
    depth: int = 8
    num_heads: int = 16
    normalise: bool = True

    def __post_init__(self) -> None:
        check_ranges("mae", vars(self), mask=(0.0, 1.0), **dict.fromkeys(("width", "depth", "num_heads"), (1, INF)))
