"""One file through the very steps of infer.py, to findings.json and report.html, with the time of each stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from radvit import assemble
from radvit.bench.paths import Clock
from radvit.bundle import Bundle
from radvit.config.reading import DeidConfig, ReadConfig
from radvit.config.using import ReportConfig
from radvit.data.loader import Loader, Passed
from radvit.data.study_index import StudyIndex
from radvit.errors import DataError
from radvit.inference.batch_size import BatchSize
from radvit.inference.decoding import DecodedStudy, FileDecoder, in_order
from radvit.inference.engine import BundleDetector, Engine, open_engine
from radvit.inference.looking import batches, look, together
from radvit.inference.manifest import Row, State
from radvit.inference.predictor import finish_study, screen
from radvit.inference.timing import LOADING, Stopwatch
from radvit.provenance import provenance
from radvit.records import FloatArray, Image
from radvit.report.build import Bands
from radvit.report.write import Answers, StudyWriter
from radvit.run.inference import criteria

BATCH = 8  # images a pass, as infer.py has it
STAGES = ("study", *LOADING, "tensor", "model", "findings", "report")


@dataclass(frozen=True, slots=True)
class StagedLoader(Loader):
    """A loader that tells a clock of its stages."""

    passed: Passed = field(default=lambda stage: None, kw_only=True)

    def load(self, path: Path, passed: Passed = lambda stage: None) -> tuple[Image, ...]:
        """As Loader.load."""

        def both(stage: str) -> None:
            self.passed(stage)
            passed(stage)

        return Loader.load(self, path, both)


class TimedEngine:
    """An engine that keeps count of the seconds it takes."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.engine, self.clock, self.seconds = engine, clock, 0.0

    def __call__(self, images: FloatArray) -> dict[str, FloatArray]:
        """Run the batch."""
        started = self.clock()
        outputs = self.engine(images)
        self.seconds += self.clock() - started
        return outputs


class Reader:
    """infer.py's steps for one file, in this process, with the model loaded and the settings that it has by default."""

    def __init__(
        self,
        bundle: Bundle,
        precision: str,
        output: Path,
        threads: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """output: a folder for reports, and for the key of their pseudonyms. threads: cores, 0 for all."""
        self.clock, report = clock, ReportConfig()
        self.preprocess = bundle.preprocess
        self.loader = assemble.loader(_deid(output), ReadConfig(), bundle.preprocess.voi, None)
        self.engine = TimedEngine(open_engine(bundle, precision, threads), clock)
        self.detector = BundleDetector(bundle, self.engine)
        self.writer = StudyWriter(
            output=output / "reports",
            labels=bundle.labels,
            answers=Answers.BOXES if bundle.spec.task.localises else Answers.IMAGES,
            provenance=provenance(bundle, precision),
            bands=Bands(report.high, report.moderate, report.mention),
            criteria=criteria(report),
        )

    def read(self, path: Path) -> tuple[Path, dict[str, float]]:
        """Read a file into a report. Returns the report's folder, and the seconds of STAGES.

        study: finding out which study the file belongs to. tensor: the model's input, and the picture of the report.
        Raises DataError where the file can't be read or the report not be written.
        """
        self.engine.seconds, clock = 0.0, Clock(now=self.clock)
        index = StudyIndex(self.loader.pseudonymizer, self.loader.limits, self.loader.selection)
        study = index.place(path).study or "file-1"
        clock.passed("study")
        decoded = FileDecoder(self._staged(clock), self.preprocess)(path)
        if decoded.error is not None:
            raise DataError(f"{path}: {decoded.error}")
        screened = screen(in_order(DecodedStudy(study, decoded.images, (), decoded.seconds)), lambda header: None)
        clock.passed("tensor")
        watch = Stopwatch()
        looked = look(batches([screened], self.preprocess, lambda: BATCH), self.detector, BatchSize(BATCH), watch)
        (answer,) = together(looked, watch)
        clock.passed("findings")
        row = finish_study(self.writer, answer)
        clock.passed("report")
        return self._folder(path, row), self._parted(clock.seconds)

    def _staged(self, clock: Clock) -> StagedLoader:
        fields = {name: getattr(self.loader, name) for name in Loader.__dataclass_fields__}
        return StagedLoader(**fields, passed=clock.passed)

    def _parted(self, seconds: dict[str, float]) -> dict[str, float]:
        """The model's part of the time to the findings by itself, and all stages in their order."""
        model = self.engine.seconds
        parted = {**seconds, "model": model, "findings": seconds["findings"] - model}
        return {stage: parted[stage] for stage in STAGES}

    def _folder(self, path: Path, row: Row) -> Path:
        if row.state is not State.DONE:
            raise DataError(f"{path}: {row.error}")
        return self.writer.output / row.study


def _deid(output: Path) -> DeidConfig:
    """The settings by default, with a key that is no secret: nothing that it makes is kept."""
    output.mkdir(parents=True, exist_ok=True)
    key = output / "deid.key"
    key.touch(0o600)
    key.write_text(bytes(32).hex())
    return DeidConfig(key=str(key))
