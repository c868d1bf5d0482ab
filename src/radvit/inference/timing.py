"""timing.json: how long reading took, stage by stage, and how much of it the model was at work."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime, perf_counter

from radvit.laps import Laps
from radvit.memory import can_tell

NAME = "timing.json"
SCHEMA = "radvit.timing/1"
MODEL = "model"
LOADING = ("read", "de-identify", "decode", "burned-in text", "grey")  # as the loader names them
STAGES = ("headers", *LOADING, "tensor", "picture", MODEL, "findings", "reports")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a run took in which the model looked at something.

    start_s: from the start of the process to the model's first call; None where that can't be told. reading_s: from
    that call until the last report was written. seconds: by stage; those of worker processes are summed over all.
    batch_size: at the end.
    """

    start_s: float | None
    reading_s: float
    images: int
    batches: int
    batch_size: int
    seconds: Mapping[str, float]

    @property
    def model_busy(self) -> float:
        """Share of the reading in which the model was at work, from 0 to 1."""
        return min(1.0, self.seconds[MODEL] / self.reading_s)

    @property
    def images_per_s(self) -> float:
        """Images a second of the reading."""
        return self.images / self.reading_s

    def to_dict(self) -> dict[str, object]:
        """A form that JSON takes."""
        shares = {"model_busy": self.model_busy, "images_per_s": self.images_per_s}
        return {"schema": SCHEMA, **shares, **asdict(self)}

    def words(self) -> str:
        """One line for the log."""
        start = "" if self.start_s is None else f"first call of the model after {self.start_s:.1f} s, "
        stages = ", ".join(f"{stage} {self.seconds[stage]:.1f}" for stage in STAGES)
        return (
            f"{start}at work for {self.model_busy:.0%} of the {self.reading_s:.1f} s since; {self.images_per_s:.2f} "
            f"images a second; seconds by stage: {stages}"
        )


class Stopwatch:
    """Measures a run. Each stage, and the model's calls, may be told by one thread only."""

    def __init__(self) -> None:
        self.laps = Laps()
        self.images = self.batches = 0
        self._start_s: float | None = None
        self._first = 0.0

    def begin_call(self) -> float:
        """To be called right before the model. Returns the time."""
        now = perf_counter()
        if not self.batches:
            self._first, self._start_s = now, process_age_s()
        return now

    def end_call(self, began: float, images: int) -> float:
        """To be called right after. Returns the seconds between."""
        spent = perf_counter() - began
        self.laps.add(MODEL, spent)
        self.images += images
        self.batches += 1
        return spent

    def timing(self, batch_size: int) -> Timing | None:
        """What was measured until now; None where the model was not called."""
        if not self.batches:
            return None
        seconds = {stage: float(self.laps.seconds[stage]) for stage in STAGES}
        since = perf_counter() - self._first
        return Timing(self._start_s, since, self.images, self.batches, batch_size, seconds)


def write_timing(timing: Timing, output: Path) -> None:
    """Write output/timing.json, in place of an earlier run's."""
    (output / NAME).write_text(json.dumps(timing.to_dict(), indent=2) + "\n")


def process_age_s() -> float | None:
    """Seconds since this process was started; None where the system doesn't tell. Source: proc(5), starttime."""
    if not can_tell():
        return None
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    return clock_gettime(CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
