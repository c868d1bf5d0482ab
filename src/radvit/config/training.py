"""The schemas of how weights are learned, and of train.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from radvit.config.data import DataConfig
from radvit.config.measuring import CalibrationName, HitConfig, ThresholdRule
from radvit.config.model import AdaptName, ModelConfig
from radvit.config.pretraining import MaeConfig
from radvit.config.ranges import INF, check_ranges
from radvit.config.reading import DeidConfig, ReadConfig
from radvit.errors import ConfigError


class ClassWeightsName(Enum):
    """Weights against unequal numbers of images a class, see radvit.training.class_weights."""

    none = "none"
    balanced = "balanced"
    effective = "effective"


class SamplerName(Enum):
    """Which training images an epoch shows: each once, or as many draws by which classes come equally often."""

    shuffled = "shuffled"
    balanced = "balanced"


class Keep(Enum):
    """Which weights go into the bundle. auto: the last ones, or the best ones where a run may stop early."""

    auto = "auto"
    last = "last"
    best = "best"


class AugmentDevice(Enum):
    """Where training images are changed: one by one as they are loaded, or a batch at a time where the model is."""

    cpu = "cpu"
    model = "model"


@dataclass
class AugmentConfig:
    """Random changes of training images; see radvit.data.transforms.AugmentSpec. device changes only where it is done.

    flip is for findings that look the same on either side alone: it puts the heart on the right, and so turns a normal
    chest into one with situs inversus, and left into right in whatever a model says of sides.
    mixup, cutmix: of a batch's images with one another, for classification; see radvit.training.mixing.MixSpec.
    """

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
    shading: float = 0.0
    sharpen: float = 0.0
    device: AugmentDevice = AugmentDevice.cpu
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        check_ranges("augment", vars(self), mixup=(0.0, INF), cutmix=(0.0, INF))


@dataclass
class OptimConfig:
    """AdamW with warm-up and cosine decay; see radvit.training.optim.OptimSpec.

    layer_decay: factor on the rate a layer towards the input, 1 for none. min_lr: the last rate as a part of lr.
    batch_size: images a device and step of the loop; `trainer.accumulate_grad_batches` of them make a step of AdamW.
    """

    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    layer_decay: float = 1.0
    box_weight: float = 1.0
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    batch_size: int = 16
    ema_decay: float = 0.998
    min_lr: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.98
    class_weights: ClassWeightsName = ClassWeightsName.none
    sampler: SamplerName = SamplerName.shuffled

    def __post_init__(self) -> None:
        named = ("warmup", "layer_decay", "label_smoothing", "ema_decay", "min_lr", "beta1", "beta2")
        parts = dict.fromkeys(named, (0.0, 1.0))
        sizes = dict.fromkeys(("lr", "weight_decay", "box_weight", "focal_gamma"), (0.0, INF))
        check_ranges("optim", vars(self), **parts, **sizes, batch_size=(1, INF))


@dataclass
class CheckpointConfig:
    """How often a checkpoint is written beside the one at each epoch's end; null for not at all."""

    every_steps: int | None = None
    every_minutes: float | None = 10.0

    def __post_init__(self) -> None:
        check_ranges("checkpoint", vars(self), every_steps=(1, INF), every_minutes=(0.0, INF))


@dataclass
class EarlyStopConfig:
    """A run ends once so many validations in a row were not better by more than min_delta; null for never."""

    patience: int | None = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        check_ranges("early_stop", vars(self), patience=(1, INF), min_delta=(0.0, INF))


@dataclass
class TrainConfig:
    """What train.py takes. run_dir: the run folder. compile: let torch.compile make the model faster.

    int8_aware: let linear layers round as INT8 will, so that the weights learn to bear it.

    resume: a run folder to go on with, with its own configuration; `auto`: run_dir, if a run was begun there.
    threshold, specificity, fp_per_image, hit, calibration: what is chosen on the validation split. specificity: of
    threshold=specificity. fp_per_image: how many false alarms an image the threshold of boxes may cost.
    loader_workers: processes that make batches, 0 for none. loader_prefetch: batches under way for each of them.
    """

    name: str = "train"
    run_dir: str = "${hydra:runtime.output_dir}"
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    mae: MaeConfig = field(default_factory=MaeConfig)
    deid: DeidConfig = field(default_factory=DeidConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    threshold: ThresholdRule = ThresholdRule.youden
    specificity: float | None = None
    fp_per_image: float = 1.0
    hit: HitConfig = field(default_factory=HitConfig)
    calibration: CalibrationName = CalibrationName.auto
    loader_workers: int = 0
    loader_prefetch: int = 2
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    early_stop: EarlyStopConfig = field(default_factory=EarlyStopConfig)
    keep: Keep = Keep.auto
    compile: bool = False
    int8_aware: bool = False
    resume: str | None = None

    def __post_init__(self) -> None:
        check_ranges("", vars(self), seed=(0, 2**32 - 1), loader_workers=(0, INF), loader_prefetch=(1, INF))
        check_ranges("", vars(self), specificity=(0.0, 1.0), fp_per_image=(0.0, INF))
        if (self.threshold is ThresholdRule.specificity) != bool(self.specificity):
            raise ConfigError(
                f"threshold={self.threshold.value} with specificity={self.specificity}; expected threshold=specificity "
                "and a specificity above 0, or neither"
            )
        if self.int8_aware and self.model.adapt is AdaptName.lora:
            raise ConfigError("int8_aware=true with model.adapt=lora; expected model.adapt=full, or no int8_aware")
        if not self.fp_per_image:
            raise ConfigError("fp_per_image=0; expected a number above 0")
        counts = ("max_epochs", "check_val_every_n_epoch", "accumulate_grad_batches", "log_every_n_steps")
        check_ranges("trainer", self.trainer, **dict.fromkeys(counts, (1, INF)), gradient_clip_val=(0.0, INF))
