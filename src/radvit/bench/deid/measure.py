"""The whole benchmark of de-identification: cohort, radvit's outputs, scores, conformance and speed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from radvit.bench.deid.answer import Category, Check
from radvit.bench.deid.cohort import write_cohort
from radvit.bench.deid.conformance import Conformance, conformance
from radvit.bench.deid.score import Scores, score
from radvit.bench.deid.speed import Rate, rates
from radvit.bench.deid.tally import Tally
from radvit.bench.deid.tool import OPTION_NAMES, run_radvit
from radvit.bench.machine import machine

PACKAGES = ("pydicom", "numpy", "opencv-python-headless")
_SHOWN_FAILURES = 200  # in JSON; a broken build fails in thousands


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured. conforming: None where dciodvfy isn't installed. speed: empty where not asked for."""

    studies: int
    files: int
    seed: int
    scores: Scores
    conforming: Conformance | None
    speed: list[Rate]
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        checked = self.conforming
        return {
            "studies": self.studies,
            "files": self.files,
            "seed": self.seed,
            "options": sorted(OPTION_NAMES),
            **scores_to_dict(self.scores),
            "conformance": checked and {"files": checked.files, "new_errors": [list(one) for one in checked.broken]},
            "speed": [rate.to_dict() for rate in self.speed],
            "machine": self.machine,
        }


def measure(studies: int, seed: int, passes: int, workers: int = 0) -> Measured:
    """Generate, de-identify, score and validate in a temporary folder; passes: of the speed, 0 leaves it out."""
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        folder = Path(made)
        cohort = write_cohort(folder / "cohort", studies, seed)
        outputs = folder / "outputs"
        ran = run_radvit(cohort.folder, outputs, cohort.key.files, workers)
        scores = score(cohort.folder, outputs, cohort.key, ran.mapping, OPTION_NAMES)
        conforming = conformance(cohort.folder, outputs, ran.mapping)
        speed = rates(folder / "speed", passes, seed) if passes else []
    return Measured(studies, len(cohort.key.files), seed, scores, conforming, speed, machine(PACKAGES))


def scores_to_dict(scores: Scores) -> dict[str, Any]:
    """Tallies by check, over all and by category, with the first failed rows; for JSON."""
    return {
        "checks": {check.value: _tally(scores.of(check)) for check in Check},
        "categories": {category.value: _tally(scores.of(None, category)) for category in Category},
        "all": _tally(scores.of()),
        "missing": list(scores.missing),
        "leaks": len(scores.leaks),
        "dates_moved_alike": _tally(scores.dates),
        "failures": [failed.to_dict() for failed in scores.failures[:_SHOWN_FAILURES]],
    }


def summary(scores: Scores) -> list[tuple[str, Tally]]:
    """Each check, then direct and indirect identifiers, then all: what a table shows."""
    rows = [(check.value, scores.of(check)) for check in Check]
    rows += [(f"{category.value} identifiers", scores.of(None, category)) for category in _identifying()]
    return [*rows, ("all", scores.of())]


def _identifying() -> Iterable[Category]:
    return Category.DIRECT, Category.INDIRECT


def _tally(tally: Tally) -> dict[str, float | int]:
    return {"passed": tally.passed, "total": tally.total, "percent": round(tally.percent, 4)}
