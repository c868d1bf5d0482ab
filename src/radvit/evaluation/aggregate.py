"""Several evaluations of one recipe, each from another seed, as mean and standard deviation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radvit.errors import DataError


def read_metrics(folder: Path) -> dict[str, Any]:
    """metrics.json of an evaluation. Raises DataError where the folder has none."""
    try:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return {"metrics": dict(document["metrics"]), "provenance": dict(document["provenance"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: no metrics.json of evaluate.py there ({type(error).__name__})") from error


def aggregate(folders: Sequence[Path]) -> dict[str, Any]:
    """The content of results.json: mean, sd (of a sample, n - 1) and n_seeds of every metric that all runs have.

    `seeds` holds the bare values of each run, `intervals` [low, high] of each run in the same order.

    Raises DataError where a seed comes twice, or runs differ in data or split: their numbers don't belong together.
    """
    runs = [read_metrics(folder) for folder in folders]
    if not runs:
        raise DataError("no evaluations to aggregate; expected folders of evaluate.py")
    origins = [run["provenance"] for run in runs]
    seeds = [origin.get("seed") for origin in origins]
    if len(set(seeds)) != len(seeds):
        raise DataError(f"seeds {seeds}; expected each once")
    for key in ("data_fingerprint", "split_hash"):
        if len({origin.get(key) for origin in origins}) > 1:
            raise DataError(f"the runs differ in {key}; expected the same data and split in all")
    shared = [name for name in runs[0]["metrics"] if all(name in run["metrics"] for run in runs)]
    return {
        "metrics": {name: spread([run["metrics"][name] for run in runs]) for name in shared},
        "seeds": [{"seed": seed, **values(run["metrics"], shared)} for seed, run in zip(seeds, runs, strict=True)],
        "intervals": {name: [bounds(run["metrics"][name]) for run in runs] for name in shared},
        "provenance": {**origins[0], "seed": None, "weights": [origin.get("weights") for origin in origins]},
    }


def spread(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation of one metric over runs; null where a run has no value."""
    numbers = np.array([np.nan if m["value"] is None else m["value"] for m in measured], float)
    sd = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    mean = float(numbers.mean())
    return {"mean": None if np.isnan(mean) else mean, "sd": None if np.isnan(sd) else sd, "n_seeds": len(numbers)}


def bounds(measured: Mapping[str, Any]) -> list[float | None]:
    """The interval of one metric of one run, as [low, high]."""
    return [measured.get("low"), measured.get("high")]


def values(metrics: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """The bare values of some metrics."""
    return {name: metrics[name]["value"] for name in names}


def write_results(folder: Path, evaluations: Sequence[Path], config: Path) -> dict[str, Any]:
    """Write results.json and config.yaml of an experiment. config: a run's config.yaml. Returns the results."""
    results = aggregate(evaluations)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (folder / "config.yaml").write_text(without_places(config.read_text(encoding="utf-8")), encoding="utf-8")
    return results


def without_places(text: str) -> str:
    """A configuration with `RUN` for its run folder and bare names for other absolute paths: they are one machine's."""
    run = re.search(r"^run_dir: (.+)$", text, re.MULTILINE)
    if run:
        text = text.replace(run.group(1), "RUN")
    return re.sub(r"(?<=: )/\S*/(?=[^/\s]+$)", "", text, flags=re.MULTILINE)
