"""The schema of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from radvit.config.ranges import INF, check_ranges
from radvit.errors import ConfigError


class SourceKind(Enum):
    """Where images come from. `run` means: what the model was trained on. `dicom`: any pictures, with a truth file."""

    run = "run"
    dicom = "dicom"
    medmnist = "medmnist"
    folder = "folder"
    nifti = "nifti"
    mednist = "mednist"
    decathlon = "decathlon"


class TruthFormat(Enum):
    """In which form data.truth tells what the images of data=dicom show."""

    coco = "coco"
    yolo = "yolo"
    voc = "voc"
    csv = "csv"
    rsna = "rsna"
    vindr = "vindr"
    nih = "nih"
    siim = "siim"


class SplitName(Enum):
    """A part of a data set."""

    train = "train"
    val = "val"
    test = "test"


class SplitKind(Enum):
    """How a cohort is divided; see radvit.data.splits."""

    patient = "patient"
    stratified = "stratified"
    kfold = "kfold"
    site = "site"
    file = "file"
    official = "official"


COLUMNS = ("manufacturer", "view", "modality", "body_part", "sex")
LEAKS = ("patient", "study", "near-duplicate")


@dataclass
class SplitConfig:
    """How a cohort is divided. train, val, test: shares of the patients; seed: of whatever is drawn at random.

    official: true for kind=official; false for a random split where a data set's own is the default. folds, fold: of
    kind=kfold. column, hold_out: of kind=site, the values whose images are the test split. file: of kind=file, which
    is implied: another run's splits.json, or a CSV with the columns image,split or patient,split.
    """

    kind: SplitKind = SplitKind.patient
    official: bool | None = None
    train: float = 0.7
    val: float = 0.1
    test: float = 0.2
    seed: int = 0
    folds: int = 5
    fold: int = 0
    column: str | None = None
    hold_out: list[str] = field(default_factory=list)
    file: str | None = None

    def __post_init__(self) -> None:
        shares = dict.fromkeys(("train", "val", "test"), (0.0, 1.0))
        check_ranges("data.split", vars(self), **shares, seed=(0, INF), folds=(2, INF), fold=(0, self.folds - 1))
        if self.chosen is SplitKind.site and (self.column not in COLUMNS or not self.hold_out):
            columns = ", ".join(COLUMNS)
            raise ConfigError(
                f"data.split.column={self.column} data.split.hold_out={self.hold_out}; expected a column of {columns} "
                "and at least one value"
            )
        if self.chosen is SplitKind.file and not self.file:
            raise ConfigError("data.split.kind=file without data.split.file; expected a splits.json or a CSV")

    @property
    def chosen(self) -> SplitKind:
        """The kind, with what `official` and `file` say of it. Raises ConfigError where they contradict it."""
        defaults = (SplitKind.patient, SplitKind.official)  # of conf/data/*.yaml, which a command line may override
        kinds = {SplitKind.official} if self.official else set()
        if self.file:
            kinds.add(SplitKind.file)
        if self.kind not in defaults or (not kinds and self.official is None):
            kinds.add(self.kind)
        if len(kinds) > 1:
            names = " and ".join(sorted(kind.value for kind in kinds))
            raise ConfigError(f"data.split asks for {names} at once; expected one of them")
        return kinds.pop() if kinds else SplitKind.patient

    @property
    def val_share(self) -> float:
        """The share of val in what is not test."""
        return self.val / (self.train + self.val) if self.val else 0.0


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
class ColumnConfig:
    """Which columns of a plain CSV (data.format=csv) name the image, its patient and its split."""

    image: str = "image"
    patient: str | None = None
    split: str | None = None


@dataclass
class SliceConfig:
    """Which slices of a volume become images: see radvit.data.sources.slices."""

    central: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        check_ranges("data.slices", vars(self), central=(1, INF), every=(0, INF))


@dataclass
class DataConfig:
    """A data set. path: a folder of files, or an npz file. truth: a file or folder that tells what they show.

    format: of the truth. boxes: its second file, where the format has one. agreement: how many readers must have marked
    a lesion. patients: a regular expression whose group is the patient in a file's name. task: of the Decathlon.
    channel: of a volume that has several. download: whether what is missing may be downloaded.
    crop_border: leave out empty borders outside the collimated field; see radvit.data.field.
    select: a JSON file of rules that say which files to take; see radvit.dicom.select. memory_mb: how much of the
    cached pixels and masks is held in memory, in MiB, training images first; the rest is read from the cache each time.
    accept_leaks: kinds of leak between splits (patient, study, near-duplicate) that don't stop training; see
    radvit.data.checks.
    """

    kind: SourceKind = SourceKind.dicom
    path: str | None = None
    truth: str | None = None
    format: TruthFormat = TruthFormat.coco
    boxes: str | None = None
    agreement: int = 1
    columns: ColumnConfig = field(default_factory=ColumnConfig)
    patients: str | None = None
    slices: SliceConfig = field(default_factory=SliceConfig)
    task: str | None = None
    channel: int = 0
    download: bool = False
    labels: list[str] = field(default_factory=lambda: ["nodule"])
    cache: str = "outputs/cache"
    workers: int = 2
    image_size: int = 256
    mean: float = 0.5
    std: float = 0.25
    crop_border: bool = False
    memory_mb: int = 4096
    split: SplitConfig = field(default_factory=SplitConfig)
    scope: ScopeConfig = field(default_factory=ScopeConfig)
    select: str | None = None
    window: WindowConfig = field(default_factory=WindowConfig)
    accept_leaks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_ranges("data", vars(self), workers=(0, INF), image_size=(1, INF), memory_mb=(0, INF))
        check_ranges("data", vars(self), agreement=(1, INF), channel=(0, INF))
        unknown = sorted(set(self.accept_leaks) - set(LEAKS))
        if unknown:
            raise ConfigError(f"data.accept_leaks names {', '.join(unknown)}; expected some of {', '.join(LEAKS)}")
