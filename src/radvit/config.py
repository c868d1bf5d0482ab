"""Typed schemas of every configuration; a wrong key or type fails when Hydra composes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from radvit.errors import ConfigError

INF = math.inf


def check_ranges(group: str, values: Mapping[str, Any], **ranges: tuple[float, float]) -> None:
    """Raise ConfigError, naming every one, where a number lies outside its range; None and absent ones pass.

    ranges: (lowest, highest) by name, both allowed; a lowest or highest of type int asks for a whole number.
    """
    problems = []
    for name, (low, high) in ranges.items():
        value = values.get(name)
        whole = isinstance(low, int)
        if value is None or (isinstance(value, int | (int if whole else float)) and low <= value <= high):
            continue
        kind = "a whole number" if whole else "a number"
        bounds = f"of at least {low:g}" if high == INF else f"from {low:g} to {high:g}"
        problems.append(f"{group}.{name}={value}; expected {kind} {bounds}".removeprefix("."))
    if problems:
        raise ConfigError(" and ".join(problems))


class SourceKind(Enum):
    """Where images come from. `run` means: what the model was trained on."""

    run = "run"
    dicom = "dicom"
    medmnist = "medmnist"


class TaskName(Enum):
    """What a model answers."""

    classify = "classify"
    detect = "detect"


class PrecisionName(Enum):
    """Number format of inference."""

    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


class QuantizeName(Enum):
    """Quantization that evaluate.py may do first."""

    none = "none"
    int8 = "int8"


class Language(Enum):
    """Language of a report."""

    en = "en"
    zh = "zh"


class SplitName(Enum):
    """A part of a data set."""

    train = "train"
    val = "val"
    test = "test"


class ThresholdRule(Enum):
    """How the operating threshold of image scores is chosen on the validation split."""

    youden = "youden"
    accuracy = "accuracy"


@dataclass
class SplitConfig:
    """How a cohort is divided: by patient, stratified by having a lesion; `official` uses the data set's own split."""

    official: bool = False
    train: float = 0.7
    val: float = 0.1
    test: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges("data.split", vars(self), train=(0.0, 1.0), val=(0.0, 1.0), test=(0.0, 1.0), seed=(0, INF))


@dataclass
class ScopeConfig:
    """What a model may be asked about; an empty list allows anything."""

    modalities: list[str] = field(default_factory=list)
    body_parts: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)


class WindowRule(Enum):
    """Which of a file's own windows is applied; `percentile` applies none of them. See radvit.dicom.voi."""

    first = "first"
    widest = "widest"
    narrowest = "narrowest"
    percentile = "percentile"


@dataclass
class WindowConfig:
    """How values become grey. explanation: a regular expression; the first window or table it describes is taken.

    center, width: a window of modality values (Hounsfield units in CT) for every file, whatever its own.
    """

    rule: WindowRule = WindowRule.first
    explanation: str | None = None
    center: float | None = None
    width: float | None = None

    def __post_init__(self) -> None:
        check_ranges("data.window", vars(self), center=(-INF, INF), width=(0.0, INF))
        if (self.center is None) != (self.width is None):
            raise ConfigError("data.window.center and data.window.width go together; expected both or none")


@dataclass
class DataConfig:
    """A data set. path: a folder of DICOM files or an npz file. truth: COCO boxes keyed by SOPInstanceUID.

    select: a JSON file of rules that say which files to take; see radvit.dicom.select.
    """

    kind: SourceKind = SourceKind.dicom
    path: str | None = None
    truth: str | None = None
    labels: list[str] = field(default_factory=lambda: ["nodule"])
    cache: str = "outputs/cache"
    workers: int = 2
    image_size: int = 256
    mean: float = 0.5
    std: float = 0.25
    in_memory: bool = True
    split: SplitConfig = field(default_factory=SplitConfig)
    scope: ScopeConfig = field(default_factory=ScopeConfig)
    select: str | None = None
    window: WindowConfig = field(default_factory=WindowConfig)

    def __post_init__(self) -> None:
        check_ranges("data", vars(self), workers=(0, INF), image_size=(1, INF))


@dataclass
class ModelConfig:
    """A Vision Transformer and its head; see radvit.models for what each field means."""

    task: TaskName = TaskName.detect
    name: str = "vit_base_patch16_224"
    pretrained: bool = False
    stem: list[int] = field(default_factory=list)
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
        check_ranges("model", vars(self), **parts, **dict.fromkeys(counts, (1, INF)))
        if not self.strides or min([*self.strides, *self.stem]) < 1:
            raise ConfigError(f"model.strides={self.strides} model.stem={self.stem}; expected numbers of at least 1")


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
class ReadConfig:
    """What a file may cost. Sizes in MiB: of the file, of its pixels once decoded, of a deflated file once inflated.

    frames, side: most frames, most rows or columns. depth: of nested sequences. elements: of the header. memory_mb,
    deadline_s: what a worker process may use, and how long, for one file.
    """

    file_mb: int = 1024
    pixel_mb: int = 512
    inflated_mb: int = 256
    frames: int = 4096
    side: int = 32768
    depth: int = 64
    elements: int = 400_000
    memory_mb: int = 2048
    deadline_s: float = 60.0

    def __post_init__(self) -> None:
        counts = ("file_mb", "pixel_mb", "inflated_mb", "frames", "side", "depth", "elements")
        check_ranges("read", vars(self), **dict.fromkeys(counts, (1, INF)), memory_mb=(64, INF), deadline_s=(0.1, INF))


class PixelText(Enum):
    """How text in the pixels is looked for; see radvit.deid.burned_in."""

    off = "off"
    quick = "quick"
    thorough = "thorough"


@dataclass
class DeidConfig:
    """How images are de-identified as they are loaded; the options are those of PS3.15 Annex E.3, see conf/deid.

    key: a file with the key of the pseudonyms. None: RADVIT_DEID_KEY, else .radvit/deid.key, made if missing.
    project: a name; pseudonyms of two projects can't be linked.
    """

    key: str | None = None
    project: str = ""
    modified_dates: bool = True
    full_dates: bool = False
    patient_characteristics: bool = True
    pixel_text: PixelText = PixelText.quick

    def __post_init__(self) -> None:
        if self.modified_dates and self.full_dates:
            raise ConfigError("deid.modified_dates and deid.full_dates exclude each other; expected at most one")


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


@dataclass
class EvaluateConfig:
    """What evaluate.py takes. checkpoint: a run folder or a bundle."""

    checkpoint: str = MISSING
    split: SplitName = SplitName.test
    precision: PrecisionName = PrecisionName.fp32
    quantize: QuantizeName = QuantizeName.none
    data: DataConfig = field(default_factory=DataConfig)
    deid: DeidConfig = field(default_factory=DeidConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    bootstrap: int = 1000
    seed: int = 0
    batch_size: int = 16
    output: str | None = None

    def __post_init__(self) -> None:
        check_ranges("", vars(self), bootstrap=(0, INF), seed=(0, INF), batch_size=(1, INF))


@dataclass
class InputConfig:
    """path: a DICOM file or folder (`input=DIR` is short for it). any: read studies outside the model's scope too.

    select: a JSON file of rules that say which files to take; see radvit.dicom.select.
    """

    path: str = MISSING
    any: bool = False
    select: str | None = None


@dataclass
class ReportConfig:
    """Report language and the confidence bands of its wording."""

    language: Language = Language.en
    high: float = 0.8
    moderate: float = 0.5
    mention: float = 0.3


@dataclass
class InferConfig:
    """What infer.py takes. checkpoint: a run folder or a bundle. output: a folder; a killed run goes on there."""

    checkpoint: str = MISSING
    input: InputConfig = field(default_factory=InputConfig)
    output: str = MISSING
    precision: PrecisionName = PrecisionName.fp32
    report: ReportConfig = field(default_factory=ReportConfig)
    deid: DeidConfig = field(default_factory=DeidConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    workers: int = 2
    batch_size: int = 8

    def __post_init__(self) -> None:
        check_ranges("", vars(self), workers=(0, INF), batch_size=(1, INF))


def register() -> None:
    """Make the schemas known to Hydra; composing anything else than what they hold fails."""
    store = ConfigStore.instance()
    for name, node in (("train", TrainConfig), ("evaluate", EvaluateConfig), ("infer", InferConfig)):
        store.store(name=f"{name}_schema", node=node)
    groups = {
        "data": DataConfig,
        "model": ModelConfig,
        "augment": AugmentConfig,
        "optim": OptimConfig,
        "deid": DeidConfig,
    }
    for group, schema in groups.items():
        store.store(group=group, name="schema", node=schema)
