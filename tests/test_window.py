"""A sliding window from end to end, on the small cohort: trained, measured, and reading files."""

import json
import shutil

import numpy as np
import pytest
import torch

from radvit import run
from radvit.bundle import load_bundle
from radvit.cli import main
from radvit.errors import ConfigError
from radvit.inference.engine import open_engine
from radvit.quantize.recipes import error

from .run_place import rows

EPOCHS = ("trainer.max_epochs=40", "trainer.check_val_every_n_epoch=40")
WINDOW = (
    "model.window.size=24",
    "model.window.stride=8",
    "augment=none",
    *EPOCHS,
    "optim.lr=1e-2",
    "optim.ema_decay=0",
)


@pytest.fixture(scope="module")
def sliding(place):
    """A trained sliding window's run folder."""
    run.train(place.detect("window", *WINDOW))
    return place.folder / "window"


def test_the_bundle_says_how_windows_lie(sliding):
    spec = load_bundle(sliding).spec
    assert (spec.task.value, spec.window.size, spec.window.stride) == ("detect", 24, 8)
    assert spec.backbone.image_size == 24
    losses = [float(row["train/loss"]) for row in rows(sliding / "metrics.csv") if row["train/loss"]]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])


def test_evaluate_measures_it_as_it_does_a_dense_detector(place, sliding):
    run.evaluate(place.evaluate(sliding))
    record = json.loads((sliding / "evaluation/test/metrics.json").read_text())
    assert {"froc/cpm", "map", "auroc", "lesion_sensitivity"} <= set(record["metrics"])
    assert record["metrics"]["auroc"]["value"] > 0.8


def test_its_int8_slides_over_the_image_too(place, sliding, tmp_path):
    shutil.copytree(sliding, tmp_path / "run")
    open_gate = [f"gate.{name}=1.0" for name in ("auroc", "cpm", "ece", "sensitivity")]
    run.evaluate(place.evaluate(tmp_path / "run", "quantize=int8", *open_gate))
    bundle = load_bundle(tmp_path / "run")
    images = np.random.default_rng(0).standard_normal((3, 1, 64, 64)).astype(np.float32)
    expected = open_engine(bundle, "fp32")(images)["windows"]
    assert expected.shape[-1] == 6
    onnx, int8 = (open_engine(bundle, name)(images)["windows"] for name in ("onnx", "int8"))
    torch.testing.assert_close(onnx, expected, rtol=0, atol=1e-4)
    assert 0 < error({"windows": expected}, {"windows": int8}) < 0.5  # noise is far from what calibrated it
    record = json.loads((tmp_path / "run/evaluation/test/metrics.json").read_text())
    assert "froc/cpm" in record["precisions"]["int8"]


def test_the_same_seed_draws_the_same_windows(place, sliding):
    run.train(place.detect("window_again", *WINDOW))
    first, again = (rows(place.folder / name / "metrics.csv") for name in ("window", "window_again"))
    assert [row["train/loss"] for row in first] == [row["train/loss"] for row in again]


def test_infer_reports_what_the_windows_found(place, sliding, tmp_path):
    shutil.copytree(place.folder / "cohort" / "dicom" / "1", tmp_path / "in")
    run.infer(place.infer(sliding, tmp_path / "in", tmp_path / "out", "report.mention=0.0"))
    manifest = rows(tmp_path / "out" / "manifest.csv")
    assert [row["state"] for row in manifest] == ["done"] * 8


def test_what_does_not_fit_is_refused(place):
    with pytest.raises(ConfigError, match=r"model\.window\.size=100 on an image of 64 px; expected at most that"):
        run.train(place.detect("large", *WINDOW, "model.window.size=100"))
    with pytest.raises(Exception, match=r"model\.window\.stride=30; expected at most model\.window\.size=24"):
        place.detect("apart", *WINDOW, "model.window.stride=30")
    with pytest.raises(Exception, match=r"model\.window\.size=24 with model\.task=classify; expected detect"):
        place.detect("classes", *WINDOW, "model.task=classify")


def test_the_bench_sets_its_time_beside_a_dense_detectors(place, sliding, tmp_path, capsys):
    run.train(place.detect("dense"))
    given = [str(place.folder / "dense"), str(sliding), "--input", str(place.folder / "cohort"), "--one-by-one"]
    main(["bench", "detect", *given, "--images", "2", "--repeats", "3", "--json", str(tmp_path / "ms.json")])
    record = json.loads((tmp_path / "ms.json").read_text())
    assert [(row["px"], row["windows"]) for row in record["rows"]] == [(64, 1), (64, 36), (64, 36)]
    assert (record["rows"][0]["times"], record["images"], record["repeats"]) == (1.0, 2, 3)
    assert all(row["low"] <= row["times"] <= row["high"] for row in record["rows"])
    assert record["rows"][1]["times"] > 1
    assert record["rows"][2]["times"] > record["rows"][1]["times"]
    shown = capsys.readouterr().out
    assert "a window at a time" in shown
    assert "2 images, looked at 3 times by each model, in turn" in shown


@pytest.mark.parametrize("given", [["--images", "0"], ["--repeats", "0"]])
def test_the_bench_wants_something_to_measure(sliding, given, capsys):
    with pytest.raises(SystemExit) as left:
        main(["bench", "detect", str(sliding), *given])
    assert left.value.code == 2
    assert "expected at least 1" in capsys.readouterr().err
