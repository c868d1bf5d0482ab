import json
import os
import subprocess
import sys

import pytest

from radvit.errors import ConfigError, DataError
from radvit.trial import Outcome, Pruner, Trial, alone, load_outcome, load_trial, outcome_of, score, write_json


def test_records_survive_being_written(tmp_path):
    trial = Trial("s", "sqlite:///x.db", 3, "-val/loss", Pruner("median", min_epochs=2))
    trial.save(tmp_path)
    outcome = Outcome("-val/loss", -0.1 - 0.2, 4, {"val/loss": 0.1 + 0.2}, pruned=True)
    outcome.save(tmp_path)
    assert (load_trial(tmp_path), load_outcome(tmp_path)) == (trial, outcome)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outcome.json", "trial.json"]


def test_a_run_outside_of_a_sweep_has_no_records(tmp_path):
    assert (load_trial(tmp_path), load_outcome(tmp_path)) == (None, None)


@pytest.mark.parametrize("text", ["{", "[1]", "\udcff"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "trial.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"trial\.json: no JSON object there"):
        load_trial(tmp_path)


@pytest.mark.parametrize(
    ("metrics", "objective", "expected"),
    [
        ({"val/loss": 0.5}, None, ("-val/loss", -0.5)),
        ({"val/loss": 0.5, "val/auroc": 0.9}, None, ("val/auroc", 0.9)),
        ({"val/loss": 0.5, "val/auroc": float("nan")}, None, ("-val/loss", -0.5)),
        ({"val/loss": 0.5, "val/box": 2.0}, "-val/box", ("-val/box", -2.0)),
        ({"val/loss": 0.5}, "val/loss", ("val/loss", 0.5)),
    ],
)
def test_more_of_a_score_is_better(metrics, objective, expected):
    assert score(metrics, objective) == expected


def test_what_was_not_measured_is_no_score():
    with pytest.raises(DataError, match="objective val/x: not measured, or no finite number; there is val/loss"):
        score({"val/loss": 1.0}, "val/x")
    with pytest.raises(DataError, match="not measured"):
        score({"val/loss": float("inf")})


def test_the_outcome_is_that_of_the_last_validation(tmp_path):
    with pytest.raises(DataError, match="expected images in the validation split"):
        outcome_of(tmp_path)
    write_json(tmp_path / "validation.json", {"epoch": 7, "metrics": {"val/loss": 0.25}})
    assert outcome_of(tmp_path) == Outcome("-val/loss", -0.25, 7, {"val/loss": 0.25})


def test_one_process_at_a_time(tmp_path):
    with alone(tmp_path), pytest.raises(ConfigError, match="another process is at work"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_a_lock_ends_with_its_process(tmp_path):
    code = "import os, sys, pathlib, radvit.trial as t\n"
    code += "with t.alone(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=os.environ).returncode == -9
    with alone(tmp_path):
        pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
