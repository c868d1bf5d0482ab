"""From a DICOM file to its report, stage by stage, beside the way that articles publish, in one interleaved run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from radvit.bench.article import FILE_STAGES, INPUT, WINDOW_STAGES, Article, Window, windows
from radvit.bench.made import batch_of, check, chest_file, detector, radiographs, speaking_bundle
from radvit.bench.paths import make_loader
from radvit.bench.speed import CALIBRATION, MIDDLE, Clock, Progress, Subject, copied, facts, with_threads
from radvit.bench.staged import STAGES, Reader
from radvit.bundle import Bundle, load_bundle
from radvit.data.preprocess import Preprocess
from radvit.errors import ConfigError
from radvit.inference.precision import ONNX_FILES
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.quantize.int8 import quantize
from radvit.records import Task

DEFAULT_MODEL = "vit_base_patch16_224"
ROWS, COLUMNS = 1760, 2140  # of the phantom's radiograph: a plate of 35 x 43 cm in pixels of 0.2 mm
PRECISIONS = ("fp32", "int8")
ARTICLE_STAGES = (*FILE_STAGES, *WINDOW_STAGES)
TOTAL = "total"

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One stage, or the total. method: radvit or article. ms: median over the rounds; low, high: its middle 90 %.

    estimated: whether only some of the windows were timed and the rest reckoned from them. ratio: of radvit's totals,
    the article's total over this one, median over the rounds, with its middle 90 %.
    """

    method: str
    precision: str
    stage: str
    ms: float
    low: float
    high: float
    estimated: bool = False
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without a ratio where there is none."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured. size: side of the model's input. windows: of the article's way; timed: of these."""

    rows: tuple[Row, ...]
    model: str
    size: int
    windows: int
    timed: int
    file: dict[str, str | int]
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**{key: getattr(self, key) for key in self.__slots__}, "rows": [row.to_dict() for row in self.rows]}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. some: windows of the article's way that are timed, spread evenly; None for all.

    Raises ConfigError where these are fewer than the rounds.
    """

    precisions: tuple[str, ...] = PRECISIONS
    rounds: int = 9
    some: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.some is not None and self.some < self.rounds:
            raise ConfigError(f"{self.some} windows in {self.rounds} rounds; expected at least one a round")


def subject(model: str | None, size: int, run: Path | None) -> Subject:
    """A dense detector with random weights, or a saved model. Raises ConfigError or BundleError where it is none."""
    if run is not None:
        return Subject(load_bundle(run).name, run=run)
    spec = detector(model or DEFAULT_MODEL, size)
    check(spec)
    return Subject(spec.backbone.name, spec)


def measure(
    model: Subject,
    file: Path | None,
    plan: Plan,
    progress: Progress = lambda done, total: None,
    clock: Clock = time.perf_counter,
) -> Measured:
    """Measure on a file, or on a phantom's radiograph where it is None. progress: called with (rounds done, in all).

    The article's way takes the same backbone, with random weights. Raises DataError where the file can't be read,
    ConfigError where the article's way can't take it.
    """
    with TemporaryDirectory(prefix="radvit-bench-") as made, with_threads(plan.threads):
        folder = Path(made)
        file = file or chest_file(folder / "phantom", ROWS, COLUMNS)
        bundle = _saved(model, folder / "model", file)
        if "int8" in plan.precisions and not (bundle.folder / ONNX_FILES["int8"]).is_file():
            quantize(bundle, batch_of(radiographs(CALIBRATION), bundle.preprocess, CALIBRATION), thorough=False)
        readers = [Reader(bundle, p, folder / p, plan.threads, clock) for p in plan.precisions]
        article = Article(RadiographViT(article_spec(bundle.spec)).eval(), clock)
        taken = take(readers, article, file, plan, progress)
    rows = (*article_rows(taken), *(row for p in plan.precisions for row in radvit_rows(p, taken)))
    size, machine = bundle.preprocess.size, facts(plan.threads, plan.rounds)
    return Measured(rows, model.name, size, taken.windows, sum(taken.counts), taken.file, machine)


def article_spec(spec: ModelSpec) -> ModelSpec:
    """A classifier of the same backbone for windows of 224 px. Raises ConfigError where it can't take these."""
    backbone = replace(spec.backbone, image_size=INPUT, attention_window=None)
    made = ModelSpec(Task.CLASSIFY, spec.classes, backbone)
    check(made)
    return made


def _saved(model: Subject, folder: Path, file: Path) -> Bundle:
    if model.spec is None:
        return copied(load_bundle(model.run or Path()), folder)
    pixels = [image.pixels for image in make_loader().load(file)]
    return speaking_bundle(folder, model.spec, batch_of(pixels, Preprocess(model.spec.backbone.image_size), 1))


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of each round. radvit: (rounds, STAGES) by precision. article: (rounds, its stages), for all windows.

    windows: in all. counts: how many of them each round timed. file: what was read.
    """

    radvit: dict[str, Seconds]
    article: Seconds
    windows: int
    counts: tuple[int, ...]
    file: dict[str, str | int]


def take(readers: Sequence[Reader], article: Article, file: Path, plan: Plan, progress: Progress) -> Taken:
    """Read the file in every way in turn, round by round, after a warm-up; each round has its share of windows."""
    mine: dict[str, list[list[float]]] = {precision: [] for precision in plan.precisions}
    theirs: list[list[float]] = []
    for reader in readers:
        reader.read(file)
    grey, _ = article.opened(file)
    places = windows(*grey.shape)
    article.look(grey, places[:1])
    parts = shares(places, plan)
    for number, part in enumerate(parts, start=1):
        for precision, reader in zip(plan.precisions, readers, strict=True):
            mine[precision].append(list(reader.read(file)[1].values()))
        grey, opened = article.opened(file)
        _, looked = article.look(grey, part)
        theirs.append([*opened.values(), *(seconds * len(places) / len(part) for seconds in looked.values())])
        progress(number, plan.rounds)
    radvit = {precision: np.array(rounds) for precision, rounds in mine.items()}
    return Taken(radvit, np.array(theirs), len(places), tuple(map(len, parts)), facts_of(file))


def shares(places: Sequence[Window], plan: Plan) -> list[Sequence[Window]]:
    """The windows of each round, spread evenly over the image; all in each where there are fewer than rounds."""
    chosen = places
    if plan.some is not None and plan.some < len(places):
        chosen = [places[i] for i in np.linspace(0, len(places) - 1, plan.some).round().astype(int)]
    return [chosen[number :: plan.rounds] or chosen for number in range(plan.rounds)]


def article_rows(taken: Taken) -> list[Row]:
    """A row a stage of the article's way, and the total; what all windows take is the sum over those timed."""
    some = sum(taken.counts) < taken.windows
    rows = []
    for stage, seconds in zip(ARTICLE_STAGES, taken.article.T, strict=True):
        row = _row("article", "fp32", stage, seconds)
        if stage in WINDOW_STAGES:
            row = replace(row, ms=float(np.average(seconds, weights=taken.counts)) * 1e3, estimated=some)
        rows.append(row)
    whole = _row("article", "fp32", TOTAL, taken.article.sum(1))
    return [*rows, replace(whole, ms=sum(row.ms for row in rows), estimated=some)]


def radvit_rows(precision: str, taken: Taken) -> list[Row]:
    """A row a stage of radvit's way, and the total with its ratio."""
    own = taken.radvit[precision]
    rows = [_row("radvit", precision, stage, seconds) for stage, seconds in zip(STAGES, own.T, strict=True)]
    low, ratio, high = (float(x) for x in np.percentile(taken.article.sum(1) / own.sum(1), MIDDLE))
    total = replace(_row("radvit", precision, TOTAL, own.sum(1)), ratio=ratio, ratio_low=low, ratio_high=high)
    return [*rows, total]


def _row(method: str, precision: str, stage: str, seconds: Seconds) -> Row:
    low, ms, high = (float(x) for x in np.percentile(seconds * 1e3, MIDDLE))
    return Row(method, precision, stage, ms, low, high)


def facts_of(file: Path) -> dict[str, str | int]:
    """How large a file's image is and how it is compressed; not its name, nor what is in it."""
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    syntax = dataset.file_meta.TransferSyntaxUID.name
    return {"rows": dataset.Rows, "columns": dataset.Columns, "syntax": syntax, "bytes": file.stat().st_size}
