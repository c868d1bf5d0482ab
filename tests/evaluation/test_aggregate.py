import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from radvit.errors import DataError
from radvit.evaluation.aggregate import aggregate, without_places, write_results


def evaluation(folder: Path, seed: int, values: dict[str, float | None], **origin: Any) -> Path:
    folder.mkdir(parents=True)
    metrics = {name: {"value": value, "low": 0.0, "high": 1.0} for name, value in values.items()}
    provenance = {"seed": seed, "data_fingerprint": "d", "split_hash": "s", "weights": f"w{seed}", **origin}
    (folder / "metrics.json").write_text(json.dumps({"metrics": metrics, "provenance": provenance}))
    return folder


def test_mean_and_sample_deviation_over_seeds(tmp_path: Path) -> None:
    numbers = [0.9, 0.95, 0.97]
    runs = [evaluation(tmp_path / str(i), i, {"auroc": x, "odd": 1.0}) for i, x in enumerate(numbers[:2])]
    runs.append(evaluation(tmp_path / "2", 2, {"auroc": numbers[2]}))
    results = aggregate(runs)
    assert set(results["metrics"]) == {"auroc"}
    assert results["metrics"]["auroc"]["mean"] == pytest.approx(mean(numbers))
    assert results["metrics"]["auroc"]["sd"] == pytest.approx(stdev(numbers))
    assert results["metrics"]["auroc"]["n_seeds"] == 3
    assert [row["auroc"] for row in results["seeds"]] == numbers


def test_one_seed_has_no_deviation_and_undefined_stays_undefined(tmp_path: Path) -> None:
    results = aggregate([evaluation(tmp_path / "a", 0, {"auroc": None, "accuracy": 0.8})])
    assert results["metrics"]["accuracy"] == {"mean": 0.8, "sd": 0.0, "n_seeds": 1}
    assert results["metrics"]["auroc"]["mean"] is None


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first = evaluation(tmp_path / "a", 0, {"auroc": 0.9})
    with pytest.raises(DataError, match="expected each once"):
        aggregate([first, evaluation(tmp_path / "b", 0, {"auroc": 0.9})])
    with pytest.raises(DataError, match="differ in split_hash"):
        aggregate([first, evaluation(tmp_path / "c", 1, {"auroc": 0.9}, split_hash="other")])
    with pytest.raises(DataError, match="no evaluations"):
        aggregate([])
    with pytest.raises(DataError, match=r"no metrics.json"):
        aggregate([tmp_path])


def test_results_are_written_beside_their_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("seed: 0\n")
    results = write_results(tmp_path / "claim", [evaluation(tmp_path / "a", 0, {"auroc": 0.9})], config)
    assert json.loads((tmp_path / "claim" / "results.json").read_text()) == results
    assert (tmp_path / "claim" / "config.yaml").read_text() == "seed: 0\n"


def test_places_of_one_machine_are_left_out() -> None:
    text = "run_dir: /a/b/run\ndata:\n  path: /home/x/set.npz\n  cache: outputs/cache\nlogger:\n  save_dir: /a/b/run\n"
    expected = "run_dir: RUN\ndata:\n  path: set.npz\n  cache: outputs/cache\nlogger:\n  save_dir: RUN\n"
    assert without_places(text) == expected
