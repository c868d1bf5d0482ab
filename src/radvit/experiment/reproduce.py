"""Run a recorded experiment again, seed by seed; what is done already isn't done again."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radvit import run
from radvit.config import DataConfig, EvaluateConfig, PrecisionName, SourceKind, SplitName, TrainConfig
from radvit.errors import ConfigError, DataError
from radvit.evaluation.aggregate import aggregate
from radvit.experiment.record import RESULTS
from radvit.run.folder import LAST, saved_config
from radvit.run.trial import has_bundle
from radvit.trial import alone, read_json

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """Where this machine has what the recorded configuration names: None for where the configuration says."""

    data: Path | None = None
    truth: Path | None = None
    cache: Path | None = None


def recorded(folder: Path) -> dict[str, Any]:
    """results.json of an experiment. Raises DataError where there is none."""
    results = read_json(folder / RESULTS)
    if results is None or not {"metrics", "seeds", "provenance"} <= set(results):
        raise DataError(f"{folder}: no {RESULTS} of `radvit experiment record` there")
    return results


def reproduce(folder: Path, output: Path, moved: Moved = Moved(), seeds: Sequence[int] | None = None) -> dict[str, Any]:
    """Train and measure every seed into output/SEED, and write results.json there. Returns the new results.

    seeds: some of the recorded ones; None for all. Raises ConfigError where the data aren't found.
    """
    old = recorded(folder)
    config = placed(saved_config(folder), moved)
    known = [row["seed"] for row in old["seeds"]]
    if seeds is not None and not (seeds and set(seeds) <= set(known)):
        raise ConfigError(f"--seeds {', '.join(map(str, seeds))}; expected some of {', '.join(map(str, known))}")
    chosen = known if seeds is None else list(seeds)
    evaluations = [again(replace(config, seed=seed), output / str(seed), old) for seed in chosen]
    new = aggregate(evaluations)
    was, now = (results["provenance"].get("data_fingerprint") for results in (old, new))
    if was != now:
        log.warning("the data are not those that were recorded: fingerprint %s, not %s", now, was)
    (output / RESULTS).write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
    return new


def placed(config: TrainConfig, moved: Moved) -> TrainConfig:
    """A recorded configuration with this machine's places, and its key. Raises ConfigError where the data aren't there.

    The key of the pseudonyms is this machine's own, as no number depends on it.
    """
    was = config.data
    path, truth = (where(*pair) for pair in ((moved.data, was.path), (moved.truth, was.truth)))
    data = replace(was, path=path, truth=truth, cache=where(moved.cache, was.cache) or was.cache)
    for key, value in (("data", data.path), ("truth", data.truth)):
        if value is not None and not Path(value).exists():
            raise ConfigError(f"{value} does not exist; expected --{key} PATH to say where it is")
    return replace(config, data=data, deid=replace(config.deid, key=None))


def where(here: Path | None, recorded: str | None) -> str | None:
    """A place as given for this machine, or as recorded."""
    return recorded if here is None else str(here)


def again(config: TrainConfig, folder: Path, old: dict[str, Any]) -> Path:
    """One seed: train unless its bundle is there, measure unless it is measured. Returns the evaluation's folder."""
    loggers = {
        name: {key: str(folder) if value == config.run_dir else value for key, value in logger.items()}
        for name, logger in config.logger.items()
    }
    split = str(old.get("split", "test"))
    with alone(folder):
        if not has_bundle(folder):
            resume = str(folder) if zipfile.is_zipfile(folder / LAST) else None
            run.train(replace(config, run_dir=str(folder), logger=loggers, resume=resume))
        if not (folder / "evaluation" / split / "metrics.json").is_file():
            run.evaluate(measuring(config, folder, split, old["provenance"]))
    return folder / "evaluation" / split


def measuring(config: TrainConfig, folder: Path, split: str, origin: dict[str, Any]) -> EvaluateConfig:
    """How a seed was measured when it was recorded."""
    bootstrap = origin["extra"].get("evaluation", {}).get("bootstrap", {})
    return EvaluateConfig(
        checkpoint=str(folder),
        split=SplitName(split),
        precision=PrecisionName(origin["precision"]),
        data=DataConfig(kind=SourceKind.run),
        deid=config.deid,
        read=config.read,
        bootstrap=int(bootstrap.get("resamples", 1000)),
        seed=int(bootstrap.get("seed", 0)),
    )
