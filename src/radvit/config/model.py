"""The schema of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from radvit.config.ranges import INF, check_ranges
from radvit.errors import ConfigError


class TaskName(Enum):
    """What a model answers; `mae` pretrains a backbone, which answers nothing yet."""

    classify = "classify"
    detect = "detect"
    segment = "segment"
    mae = "mae"


class AdaptName(Enum):
    """What of the backbone is trained: all of it, nothing (linear probe), or low-rank additions to its layers."""

    full = "full"
    linear = "linear"
    lora = "lora"


class LoraTarget(Enum):
    """Which linear layers of a block get low-rank additions."""

    attention = "attention"
    mlp = "mlp"


@dataclass
class LoraConfig:
    """Low-rank adaptation, with model.adapt=lora; see radvit.models.adapt.LoraSpec."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: list[LoraTarget] = field(default_factory=lambda: [LoraTarget.attention])

    def __post_init__(self) -> None:
        check_ranges("model.lora", vars(self), rank=(1, INF), alpha=(0.0, INF), dropout=(0.0, 1.0))
        if not self.targets:
            raise ConfigError("model.lora.targets=[]; expected attention, mlp or both")


class BlendName(Enum):
    """How the scores of overlapping windows become one."""

    mean = "mean"
    gaussian = "gaussian"


@dataclass
class SlidingConfig:
    """A classifier slid over the image in place of a dense detector; see radvit.models.sliding.WindowSpec.

    size: side of a window, pixels of the model's image; null for no windows. per_image: windows that training cuts out
    of an image each time it is shown.
    """

    size: int | None = None
    stride: int = 64
    blend: BlendName = BlendName.mean
    share: float | None = None
    threshold: float = 0.05
    edge: float = 0.75
    most: int = 30
    per_image: int = 4

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("size", "stride", "most", "per_image"), (1, INF))
        check_ranges("model.window", vars(self), **counts, **dict.fromkeys(("share", "threshold", "edge"), (0.0, 1.0)))
        if self.size is not None and self.stride > self.size:
            raise ConfigError(f"model.window.stride={self.stride}; expected at most model.window.size={self.size}")


class DetectorName(Enum):
    """What a dense detector's locations answer; see radvit.models.detectors.DetectorKind."""

    heat = "heat"
    centreness = "centreness"
    set = "set"


@dataclass
class DecodeConfig:
    """How a detector's maps become boxes, from calibration on; see radvit.models.decode.DecodeSpec."""

    most: int = 30
    overlap: float = 0.2
    smallest_score: float = 0.005
    soft_sigma: float | None = None
    flip: bool = False

    def __post_init__(self) -> None:
        shares = dict.fromkeys(("overlap", "smallest_score"), (0.0, 1.0))
        check_ranges("model.decode", vars(self), **shares, most=(1, INF), soft_sigma=(1e-6, INF))


@dataclass
class ModelConfig:
    """A Vision Transformer and its head; see radvit.models for what each field means.

    pretrained: start from the hub's weights of `name`. weights: start from those of a run, a folder or a file. adapt:
    what of the backbone is trained. checkpointing: compute activations again in the backward pass, to spare memory.
    attention_window: side of the windows, in patches, that blocks attend within; every global_every-th sees the whole.
    merge_tokens: share of the patch tokens present that merges into others after each block but the last; 0 for none.
    """

    task: TaskName = TaskName.detect
    name: str = "vit_base_patch16_224"
    pretrained: bool = False
    weights: str | None = None
    adapt: AdaptName = AdaptName.full
    lora: LoraConfig = field(default_factory=LoraConfig)
    checkpointing: bool = False
    stem: list[int] = field(default_factory=list)
    stem_blocks: int = 0
    patch_size: int | None = None
    embed_dim: int | None = None
    depth: int | None = None
    num_heads: int | None = None
    drop_path: float = 0.0
    attention_window: int | None = None
    global_every: int = 3
    merge_tokens: float = 0.0
    hidden: int = 512
    dropout: float = 0.3
    pool: str = "token"
    strides: list[int] = field(default_factory=lambda: [8])
    width: int = 128
    window: SlidingConfig = field(default_factory=SlidingConfig)
    detector: DetectorName = DetectorName.heat
    decode: DecodeConfig = field(default_factory=DecodeConfig)

    def __post_init__(self) -> None:
        sizes = ("patch_size", "embed_dim", "depth", "num_heads", "hidden", "width")
        counts = (*sizes, "attention_window", "global_every")
        parts = {"drop_path": (0.0, 1.0), "dropout": (0.0, 1.0), "merge_tokens": (0.0, 0.5)}
        check_ranges("model", vars(self), **parts, stem_blocks=(0, INF), **dict.fromkeys(counts, (1, INF)))
        if self.window.size is not None and self.task is not TaskName.detect:
            raise ConfigError(
                f"model.window.size={self.window.size} with model.task={self.task.value}; expected detect"
            )
        if self.attention_window is not None and self.task is TaskName.mae:
            raise ConfigError(f"model.attention_window={self.attention_window} with model.task=mae; expected null")
        self._check_merging()
        if self.pretrained and self.weights is not None:
            raise ConfigError(f"model.weights={self.weights} with model.pretrained=true; expected one of the two")
        if not self.strides or min([*self.strides, *self.stem]) < 1:
            raise ConfigError(f"model.strides={self.strides} model.stem={self.stem}; expected numbers of at least 1")

    def _check_merging(self) -> None:
        beside = {
            "model.task=mae": self.task is TaskName.mae,
            "model.checkpointing=true": self.checkpointing,
            f"model.attention_window={self.attention_window}": self.attention_window is not None,
        }
        refused = [name for name, is_given in beside.items() if is_given]
        if self.merge_tokens and refused:
            raise ConfigError(f"model.merge_tokens={self.merge_tokens} with {refused[0]}; expected only one of them")
