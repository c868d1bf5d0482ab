"""The schemas of how weights are learned, and of train.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from radvit.config.data import DataConfig
from radvit.config.model import ModelConfig
from radvit.config.ranges import INF, check_ranges
from radvit.config.reading import DeidConfig, ReadConfig


class ThresholdRule(Enum):
    """How the operating threshold of image scores is chosen on the validation split."""

    youden = "youden"
    smooth_youden = "smooth_youden"
    accuracy = "accuracy"


@dataclass
class AugmentConfig:
    """Random changes of training images; see radvit.data.transforms.AugmentSpec."""

    rotate_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    cutout: float = 0.0


@dataclass
class OptimConfig:
    """AdamW with warm-up and cosine decay. layer_decay: factor on the rate a layer towards the input, 1 for none."""

    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    layer_decay: float = 1.0
    box_weight: float = 1.0
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    batch_size: int = 16
    ema_decay: float = 0.998

    def __post_init__(self) -> None:
        parts = dict.fromkeys(("warmup", "layer_decay", "label_smoothing", "ema_decay"), (0.0, 1.0))
        sizes = dict.fromkeys(("lr", "weight_decay", "box_weight", "focal_gamma"), (0.0, INF))
        check_ranges("optim", vars(self), **parts, **sizes, batch_size=(1, INF))


@dataclass
class TrainConfig:
    """What train.py takes. run_dir: the run folder. resume: one to go on with, with its own configuration."""

    name: str = "train"
    run_dir: str = "${hydra:runtime.output_dir}"
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    deid: DeidConfig = field(default_factory=DeidConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    threshold: ThresholdRule = ThresholdRule.youden
    loader_workers: int = 0
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    resume: str | None = None

    def __post_init__(self) -> None:
        check_ranges("", vars(self), seed=(0, 2**32 - 1), loader_workers=(0, INF))
        counts = ("max_epochs", "check_val_every_n_epoch", "accumulate_grad_batches", "log_every_n_steps")
        check_ranges("trainer", self.trainer, **dict.fromkeys(counts, (1, INF)), gradient_clip_val=(0.0, INF))
