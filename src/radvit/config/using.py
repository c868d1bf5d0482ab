"""The schemas of evaluate.py and infer.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from radvit.config.data import DataConfig, SourceKind, SplitName
from radvit.config.measuring import HitConfig
from radvit.config.ranges import INF, check_ranges
from radvit.config.reading import DeidConfig, ReadConfig
from radvit.errors import ConfigError
from radvit.plural import counted

AUTO = "auto"


class PrecisionName(Enum):
    """Number format of inference, and what runs it.

    fp32, bf16: PyTorch. fp16, int8_torch, fp8: PyTorch on a GPU. onnx: FP32 in ONNX Runtime. int8: ONNX Runtime. auto:
    the fastest on this machine of those that were released.
    """

    fp32 = "fp32"
    bf16 = "bf16"
    onnx = "onnx"
    fp16 = "fp16"
    int8_torch = "int8_torch"
    fp8 = "fp8"
    int8 = "int8"
    auto = "auto"


class QuantizeName(Enum):
    """Quantization that evaluate.py may do first."""

    none = "none"
    int8 = "int8"


class Language(Enum):
    """Language of a report."""

    en = "en"
    zh = "zh"


class SaliencyName(Enum):
    """How it is told where a classifier looked; see radvit.models.saliency.Method."""

    none = "none"
    rollout = "rollout"
    gradient = "gradient"
    patches = "patches"


@dataclass
class SaliencyConfig:
    """Boxes and pictures of where a classifier looked; see radvit.inference.saliency.SaliencySpec."""

    method: SaliencyName = SaliencyName.none
    threshold: float = 0.5
    edge: float = 0.75

    def __post_init__(self) -> None:
        check_ranges("saliency", vars(self), threshold=(0.01, 1.0), edge=(0.01, 1.0))

    def check_runs(self, precision: PrecisionName) -> None:
        """Raise ConfigError where a map is asked of anything but PyTorch in full precision."""
        if self.method is not SaliencyName.none and precision is not PrecisionName.fp32:
            raise ConfigError(
                f"saliency.method={self.method.value} with precision={precision.value}; expected precision=fp32, "
                "the only one whose attention can be seen"
            )


@dataclass
class EvaluateSaliencyConfig(SaliencyConfig):
    """The same in evaluate.py. check: images on which maps are held against those of randomised weights; 0: none."""

    check: int = 16

    def __post_init__(self) -> None:
        check_ranges("saliency", vars(self), threshold=(0.01, 1.0), edge=(0.01, 1.0), check=(0, INF))


@dataclass
class GateConfig:
    """How much worse INT8 or BF16 may be than FP32 on the validation split; see radvit.evaluation.gate.Tolerances."""

    auroc: float = 0.005
    cpm: float = 0.01
    ece: float = 0.01
    sensitivity: float = 0.01
    dice: float = 0.01

    def __post_init__(self) -> None:
        check_ranges("gate", vars(self), **dict.fromkeys(vars(self), (0.0, 1.0)))


@dataclass
class EvaluateConfig:
    """What evaluate.py takes. checkpoint: a run folder or a bundle.

    groups: columns that subgroups are made by: of the images' headers, or of groups_file, a CSV whose first column is
    `image`, `study` or `patient` with the names of images.csv.
    accept_seen: measure a test split though the model saw some of it in training; the numbers are marked as such.
    hit: when a detection finds a lesion; by default as where the model's own thresholds were chosen.
    gate: what INT8 and BF16 may lose, with quantize=int8.
    external: YAML files of further data sets that the model is measured on, see radvit.assemble.external.
    compare: in place of checkpoint, two runs that were evaluated, or two folders that evaluate.py wrote.
    """

    checkpoint: str | None = None
    compare: list[str] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    split: SplitName = SplitName.test
    precision: PrecisionName = PrecisionName.fp32
    quantize: QuantizeName = QuantizeName.none
    data: DataConfig = field(default_factory=DataConfig)
    deid: DeidConfig = field(default_factory=DeidConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    hit: HitConfig = field(default_factory=HitConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    bootstrap: int = 1000
    seed: int = 0
    batch_size: int = 16
    accept_seen: bool = False
    groups: list[str] = field(default_factory=lambda: ["sex", "age", "view", "manufacturer"])
    groups_file: str | None = None
    saliency: EvaluateSaliencyConfig = field(default_factory=EvaluateSaliencyConfig)
    output: str | None = None

    def __post_init__(self) -> None:
        check_ranges("", vars(self), bootstrap=(0, INF), seed=(0, INF), batch_size=(1, INF))
        self.saliency.check_runs(self.precision)
        if self.saliency.method is not SaliencyName.none and self.quantize is not QuantizeName.none:
            raise ConfigError(
                f"saliency.method={self.saliency.method.value} with "
                f"quantize={self.quantize.value}; expected only one of them"
            )
        if self.compare and len(self.compare) != 2:
            raise ConfigError(f"compare names {counted(len(self.compare), 'run')}; expected compare=[RUN_A,RUN_B]")
        if self.compare and self.checkpoint is not None:
            raise ConfigError("both checkpoint and compare are given; expected one of the two")
        if self.compare and (self.precision, self.quantize) != (PrecisionName.fp32, QuantizeName.none):
            raise ConfigError("compare reads what evaluate.py wrote; expected no precision and no quantize beside it")
        self._check_external()
        if self.compare and self.hit.rule is not None:
            raise ConfigError("compare takes the hit rule of what evaluate.py wrote; expected no hit.rule beside it")

    def _check_external(self) -> None:
        if not self.external:
            return
        beside = {
            "compare": bool(self.compare),
            "data": self.data.kind is not SourceKind.run,
            "quantize": self.quantize is not QuantizeName.none,
            "split": self.split is not SplitName.test,
            "groups_file": self.groups_file is not None,
        }
        given = [name for name, is_given in beside.items() if is_given]
        if given:
            raise ConfigError(f"external beside {', '.join(given)}; expected checkpoint and the data sets' files alone")


@dataclass
class PrecisionConfig:
    """name: `precision=int8` is short for it. allow_rejected: use what the gate did not release, too."""

    name: PrecisionName = PrecisionName.fp32
    allow_rejected: bool = False


@dataclass
class InputConfig:
    """path: a DICOM file or folder (`input=DIR` is short for it). any: read studies outside the model's scope too.

    select: a JSON file of rules that say which files to take; see radvit.dicom.select.
    """

    path: str = MISSING
    any: bool = False
    select: str | None = None


class BandsName(Enum):
    """Where a report's bands begin: at the numbers given, or at the thresholds chosen on the validation split."""

    fixed = "fixed"
    operating = "operating"


class FormName(Enum):
    """What a report can be written as; see radvit.report.forms."""

    pdf = "pdf"
    sr = "sr"
    fhir = "fhir"
    overlay = "overlay"
    dicom_pdf = "dicom_pdf"


class DensityName(Enum):
    """What nodules on CT are made of; see radvit.report.fleischner.Density."""

    solid = "solid"
    ground_glass = "ground_glass"
    part_solid = "part_solid"


class RiskName(Enum):
    """The patients' risk of lung cancer; see radvit.report.fleischner.Risk."""

    low = "low"
    high = "high"


@dataclass
class FleischnerConfig:
    """What a user states of all nodules on CT of a run; see radvit.report.fleischner.Stated.

    incidental: found by chance and not by screening, in patients without known cancer or immunosuppression.
    """

    density: DensityName | None = None
    risk: RiskName | None = None
    incidental: bool = False


@dataclass
class ReportConfig:
    """Report language, the confidence bands of its wording, and the comparison with an earlier study of the patient.

    prior: compare. change_mm, change_percent: what both a size has to differ by to have changed. within: how far apart,
    in the lungs' own units, two findings of one lesion may lie; radvit.report.verdicts says why these. forms: what each
    report is written as beside findings.json and report.html. check: read every form back and compare it. bands: with
    `operating`, moderate is the model's threshold of images, and mention that of boxes. fleischner: what is stated of
    nodules on CT; without it the Fleischner Society's guideline is not applicable to any.
    """

    language: Language = Language.en
    bands: BandsName = BandsName.fixed
    high: float = 0.8
    moderate: float = 0.5
    mention: float = 0.3
    prior: bool = True
    change_mm: float = 5.0
    change_percent: float = 20.0
    within: float = 0.15
    forms: list[FormName] = field(default_factory=list)
    check: bool = True
    fleischner: FleischnerConfig = field(default_factory=FleischnerConfig)

    def __post_init__(self) -> None:
        check_ranges("report", vars(self), change_mm=(0.0, INF), change_percent=(0.0, INF), within=(0.001, INF))


@dataclass
class InferConfig:
    """What infer.py takes. checkpoint: a run folder or a bundle. output: a folder; a killed run goes on there.

    workers: processes that read files and write reports; None for as many as there are cores. batch_size: images that
    the model sees at once, or `auto` for as many as memory holds.
    """

    checkpoint: str = MISSING
    input: InputConfig = field(default_factory=InputConfig)
    output: str = MISSING
    precision: PrecisionConfig = field(default_factory=PrecisionConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    saliency: SaliencyConfig = field(default_factory=SaliencyConfig)
    deid: DeidConfig = field(default_factory=DeidConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    workers: int | None = None
    batch_size: int | str = 8

    def __post_init__(self) -> None:
        check_ranges("", {**vars(self), "batch_size": self.images()}, workers=(0, INF), batch_size=(1, INF))
        self.saliency.check_runs(self.precision.name)

    def images(self) -> int | None:
        """Images a batch; None where that is to be found out."""
        if isinstance(self.batch_size, str) and self.batch_size != AUTO:
            raise ConfigError(f"batch_size={self.batch_size}; expected a number of images or {AUTO}")
        return None if isinstance(self.batch_size, str) else self.batch_size
