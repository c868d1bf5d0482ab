"""compare(): two evaluations on disk, metric by metric."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from radvit import terminal
from radvit.config import EvaluateConfig
from radvit.errors import DataError
from radvit.evaluation.compare import Difference
from radvit.evaluation.compare import compare as measure
from radvit.evaluation.compare_page import Terms, rows, write_comparison
from radvit.evaluation.reading import Saved, read_evaluation
from radvit.run.folder import CONFIG

log = logging.getLogger(__name__)

WRITTEN = "metrics.json"


def compare(config: EvaluateConfig) -> dict[str, Difference]:
    """Compare what evaluate.py measured of two runs on the same split; nothing is predicted again."""
    first, second = (Path(given) for given in config.compare)
    a, b = (_read(given, config.split.value) for given in (first, second))
    found = measure(a, b, np.random.default_rng(config.seed), config.bootstrap)
    default = a.folder / "compare" / _name(second)
    folder = Path(config.output) if config.output else default
    write_comparison(folder, found, a, b, Terms(str(first), str(second), config.seed, config.bootstrap))
    log.info("A: %s", first)
    log.info("B: %s", second)
    terminal.table(rows(found), words=("verdict",))
    for side in (a, b):
        if side.seen:
            log.warning("%s: seen in training: %s", side.folder, side.seen)
    log.info("wrote %s", folder / "COMPARE.md")
    return found


def evaluation_folder(given: Path, split: str) -> Path:
    """Where evaluate.py wrote what it measured of a run, bundle or its own folder. Raises DataError where nowhere."""
    of_run = given.parent if (given.parent / CONFIG).is_file() and given.name == "bundle" else given
    for folder in (given, of_run / "evaluation" / split):
        if (folder / WRITTEN).is_file():
            return folder
    if not given.is_dir():
        raise DataError(f"{given} is no folder; expected a run that evaluate.py has measured, or what it wrote")
    raise DataError(
        f"{given}: no evaluation of split {split}; first run: python evaluate.py checkpoint={given} split={split}"
    )


def _read(given: Path, split: str) -> Saved:
    saved = read_evaluation(evaluation_folder(given, split))
    if saved.split != split:
        raise DataError(f"{saved.folder} was measured on split {saved.split}; expected {split}, or split={saved.split}")
    return saved


def _name(given: Path) -> str:
    return given.resolve().name
