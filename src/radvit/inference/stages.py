"""Where the time of a run went."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

FILE = "timing.json"
MODEL = "model"


@dataclass(slots=True)
class Stages:
    """Seconds by stage, added up over all processes, beside the wall time of the whole. Threads may share it.

    began: when the model was first called. images: those that it looked at.
    """

    started: float = field(default_factory=perf_counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    began: float | None = None
    ended: float | None = None
    images: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, stage: str, seconds: float) -> None:
        """Count time spent somewhere."""
        with self._lock:
            self.seconds[stage] += seconds

    @contextmanager
    def model(self, images: int) -> Iterator[None]:
        """Around a call of the model on some images."""
        start = perf_counter()
        self.began = self.began if self.began is not None else start
        yield
        self.ended = perf_counter()
        self.images += images
        self.add(MODEL, self.ended - start)

    @property
    def busy(self) -> float | None:
        """The share of the time from the model's first call to the end of its last in which it worked."""
        if self.began is None or self.ended is None or self.ended <= self.began:
            return None
        return self.seconds[MODEL] / (self.ended - self.began)

    def document(self) -> dict[str, Any]:
        """Plain values for JSON. images_per_s: from the model's first call to the end of its last."""
        wall = perf_counter() - self.started
        working = None if self.began is None or self.ended is None else self.ended - self.began
        return {
            "wall_s": wall,
            "before_the_model_s": None if self.began is None else self.began - self.started,
            "model_busy": self.busy,
            "images": self.images,
            "images_per_s": self.images / working if working else None,
            "stages_s": dict(sorted(self.seconds.items())),
        }

    def write(self, folder: Path) -> None:
        """Leave timing.json in a folder."""
        (folder / FILE).write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")

    def words(self) -> str:
        """One line for the log."""
        spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(self.seconds.items()))
        busy = "" if self.busy is None else f"; the model was busy {self.busy:.0%} of the time since its first image"
        return f"time by stage, over all processes: {spent}{busy}"
