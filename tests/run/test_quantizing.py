"""Quantizing and its gate, on the small cohort's detector."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radvit import run
from radvit.bundle import QUANTIZATION, load_bundle, save_bundle
from radvit.errors import ConfigError, DataError
from radvit.evaluation.compare import Difference, Method, Verdict
from radvit.evaluation.gate import Tolerances, judge
from radvit.inference.precision import State, read_quantization
from radvit.metrics.delong import Contrast
from radvit.quantize import int8
from radvit.quantize.int8 import making
from radvit.quantize.recipes import Recipe
from radvit.run import quantizing

from ..run_place import rows


@pytest.fixture(scope="module")
def quantized(place, detector, tmp_path_factory):
    """A copy of the detector's run that was quantized with a gate that lets everything through."""
    folder = tmp_path_factory.mktemp("quantized") / "run"
    shutil.copytree(detector, folder)
    run.evaluate(place.evaluate(folder, "quantize=int8", *open_gate(1.0)))
    return folder


def open_gate(lost):
    return [f"gate.{name}={lost}" for name in ("auroc", "cpm", "ece", "sensitivity", "dice")]


def record(folder):
    return json.loads((folder / "bundle" / QUANTIZATION).read_text())


def test_both_precisions_are_judged_on_the_validation_split(quantized):
    judged = record(quantized)["precisions"]
    assert set(judged) == {"int8", "bf16"}
    for one in judged.values():
        assert one["state"] == "released"
        assert (one["split"], one["images"]) == ("val", 6)
        assert {check["metric"] for check in one["checks"]} >= {"auroc", "froc/cpm", "ece"}
        assert one["tolerances"]["cpm"] == 1.0


def test_calibration_takes_training_images_alone(place, detector, tmp_path, monkeypatch):
    shutil.copytree(detector, tmp_path / "run")
    taken = []
    model_input = quantizing.model_input

    def watched(cohort, indices, preprocess):
        taken.append({cohort.samples[i].header.image for i in indices})
        return model_input(cohort, indices, preprocess)

    monkeypatch.setattr(quantizing, "model_input", watched)
    run.evaluate(place.evaluate(tmp_path / "run", "quantize=int8", *open_gate(1.0)))
    train = json.loads((detector / "splits.json").read_text())["splits"]["train"]
    assert len(taken) == 1
    assert taken[0] == set(train)


def test_a_released_precision_reads_studies(place, quantized, tmp_path):
    source = place.folder / "cohort" / "dicom" / "0"
    for name in ("int8", "auto", "onnx"):
        out = tmp_path / name
        run.infer(place.infer(quantized, source, out, f"precision.name={name}"))
        assert {row["state"] for row in rows(out / "manifest.csv")} == {"done"}
        made = json.loads(next(out.glob("*/findings.json")).read_text())["provenance"]["precision"]
        assert made in ({"int8": ("int8",), "onnx": ("onnx",)}.get(name) or ("fp32", "bf16", "onnx", "int8"))


def test_a_model_calibrated_on_noise_is_caught(place, detector, tmp_path, monkeypatch, caplog):
    """Ranges of faint noise clip what a real image brings; on that noise, which is all it saw, INT8 strays little."""
    shutil.copytree(detector, tmp_path / "run")
    model_input = quantizing.model_input

    def noise(cohort, indices, preprocess):
        shape = model_input(cohort, indices, preprocess).shape
        return (1e-3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)

    monkeypatch.setattr(quantizing, "model_input", noise)
    monkeypatch.setattr(int8, "choose", lambda bench, bits, progress: [bench.make(Recipe(bits=bits))])
    run.evaluate(place.evaluate(tmp_path / "run", "quantize=int8"))
    judged = record(tmp_path / "run")["precisions"]["int8"]
    assert judged["state"] == "rejected"
    assert any(not check["passed"] for check in judged["checks"])
    assert "INT8 is rejected: " in caplog.text
    source = place.folder / "cohort" / "dicom" / "0"
    with pytest.raises(ConfigError, match=r"precision=int8 was rejected for this model: .*allow_rejected=true"):
        run.infer(place.infer(tmp_path / "run", source, tmp_path / "out", "precision.name=int8"))
    assert not (tmp_path / "out").exists()
    caplog.clear()
    allowed = ("precision.name=int8", "precision.allow_rejected=true")
    run.infer(place.infer(tmp_path / "run", source, tmp_path / "out", *allowed))
    assert "is used all the same" in caplog.text
    assert {row["state"] for row in rows(tmp_path / "out" / "manifest.csv")} == {"done"}


def test_the_next_recipe_is_judged_where_one_fails(quantized, monkeypatch):
    def answer(other):
        found = Difference(0.9, other, Contrast(other - 0.9, 0, 0, 1), Method.BOOTSTRAP, Verdict.OPEN)
        return judge({"auroc": found}, Tolerances())

    answers = iter([answer(0.5), answer(0.9), answer(0.9)])
    bundle = load_bundle(quantized)
    images = np.random.default_rng(0).standard_normal((9, 1, 64, 64)).astype(np.float32)
    with making(bundle, images) as made:
        chosen, judgement = quantizing.first_released(made, lambda engine: next(answers))
        assert chosen is made.candidates[1]
        assert judgement.released
        chosen, judgement = quantizing.first_released(made, lambda engine: answer(0.5))
        assert chosen is made.candidates[0]
        assert not judgement.released


def test_without_validation_images_nothing_is_judged(place, detector, tmp_path, monkeypatch):
    shutil.copytree(detector, tmp_path / "run")
    measured = run.evaluation.measured_data

    def without(config, bundle):
        cohort, splits = measured(config, bundle)
        return cohort, replace(splits, val=())

    monkeypatch.setattr(run.evaluation, "measured_data", without)
    with pytest.raises(DataError, match="needs validation images for its gate"):
        run.evaluate(place.evaluate(tmp_path / "run", "quantize=int8"))


def test_a_new_training_forgets_what_was_released(quantized, tmp_path):
    shutil.copytree(quantized, tmp_path / "run")
    bundle = load_bundle(tmp_path / "run")
    assert read_quantization(bundle).state("int8") is State.RELEASED
    again = save_bundle(bundle, bundle.model(), "card")
    assert read_quantization(again).state("int8") is State.UNJUDGED
    assert not list(Path(again.folder).glob("*.onnx"))
