"""The schema of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from radvit.config.ranges import INF, check_ranges
from radvit.errors import ConfigError


class TaskName(Enum):
    """What a model answers."""

    classify = "classify"
    detect = "detect"


@dataclass
class ModelConfig:
    """A Vision Transformer and its head; see radvit.models for what each field means."""

    task: TaskName = TaskName.detect
    name: str = "vit_base_patch16_224"
    pretrained: bool = False
    stem: list[int] = field(default_factory=list)
    stem_blocks: int = 0
    patch_size: int | None = None
    embed_dim: int | None = None
    depth: int | None = None
    num_heads: int | None = None
    drop_path: float = 0.0
    hidden: int = 512
    dropout: float = 0.3
    pool: str = "token"
    strides: list[int] = field(default_factory=lambda: [8])
    width: int = 128

    def __post_init__(self) -> None:
        counts = ("patch_size", "embed_dim", "depth", "num_heads", "hidden", "width")
        parts = {"drop_path": (0.0, 1.0), "dropout": (0.0, 1.0)}
        check_ranges("model", vars(self), **parts, stem_blocks=(0, INF), **dict.fromkeys(counts, (1, INF)))
        if not self.strides or min([*self.strides, *self.stem]) < 1:
            raise ConfigError(f"model.strides={self.strides} model.stem={self.stem}; expected numbers of at least 1")
