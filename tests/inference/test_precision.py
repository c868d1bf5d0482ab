import json
import shutil

import numpy as np
import pytest
import torch

from radvit import hardware
from radvit.bundle import QUANTIZATION, load_bundle
from radvit.errors import BundleError, ConfigError
from radvit.inference import interleaved
from radvit.inference.precision import ONNX_FILES, State, check_released, fastest, read_quantization, write_record
from radvit.quantize.int8 import quantize
from radvit.records import Task


@pytest.fixture(scope="module")
def quantized(bundle, tmp_path_factory):
    saved = bundle(tmp_path_factory.mktemp("precision") / "bundle", Task.CLASSIFY)
    quantize(saved, np.random.default_rng(0).standard_normal((9, 1, 32, 32)).astype(np.float32))
    return saved


@pytest.fixture
def saved(quantized, tmp_path):
    """A copy of a quantized bundle, to be changed."""
    shutil.copytree(quantized.folder, tmp_path / "bundle")
    return load_bundle(tmp_path / "bundle")


def change(bundle, **fields):
    record = json.loads((bundle.folder / QUANTIZATION).read_text())
    write_record(bundle.folder, {**record, **fields})


def judged(**states):
    return {name: {"state": state, "why": "CPM 0.70 against 0.80"} for name, state in states.items()}


def test_what_was_never_judged_is_refused_and_told_how_to_be(saved):
    with pytest.raises(ConfigError, match=r"never measured beside FP32 .* quantize=int8` first"):
        check_released(saved, "int8", allow_rejected=False)
    check_released(saved, "int8", allow_rejected=True)


def test_what_was_rejected_is_refused_with_the_reason(saved):
    change(saved, precisions=judged(int8="rejected", bf16="rejected"))
    for name in ("int8", "bf16"):
        words = rf"precision={name} was rejected for this model: CPM 0\.70 against 0\.80; .*allow_rejected=true"
        with pytest.raises(ConfigError, match=words):
            check_released(saved, name, allow_rejected=False)
        check_released(saved, name, allow_rejected=True)


def test_what_was_released_may_be_used(saved):
    change(saved, precisions=judged(int8="released"))
    check_released(saved, "int8", allow_rejected=False)
    check_released(saved, "bf16", allow_rejected=False)  # not judged: a choice of its user


@pytest.mark.parametrize("name", ["fp32", "onnx"])
def test_the_model_itself_needs_no_release(saved, name):
    (saved.folder / QUANTIZATION).unlink()
    check_released(saved, name, allow_rejected=False)
    assert read_quantization(saved).state(name) is State.RELEASED


def test_another_file_than_the_judged_one_is_refused(saved):
    change(saved, precisions=judged(int8="released"))
    shutil.copy(saved.folder / ONNX_FILES["fp32"], saved.folder / ONNX_FILES["int8"])
    with pytest.raises(BundleError, match=r"not the file that quantization\.json was written for"):
        check_released(saved, "int8", allow_rejected=True)


def test_a_bundle_without_an_int8_model_says_how_to_make_one(saved):
    (saved.folder / ONNX_FILES["int8"]).unlink()
    with pytest.raises(BundleError, match=r"is missing: run `python evaluate\.py"):
        check_released(saved, "int8", allow_rejected=False)


def test_a_record_of_other_weights_or_a_damaged_one_is_refused(saved):
    change(saved, weights_sha256="0" * 64)
    with pytest.raises(BundleError, match="that of other weights"):
        read_quantization(saved)
    (saved.folder / QUANTIZATION).write_text("{")
    with pytest.raises(BundleError, match="not a record of a quantization"):
        read_quantization(saved)


@pytest.mark.parametrize("record", ["[1]", '{"format": "radvit.quantization/2"}'])
def test_a_record_of_another_make_is_refused(saved, record):
    (saved.folder / QUANTIZATION).write_text(record)
    with pytest.raises(BundleError, match="not a record of a quantization"):
        read_quantization(saved)


def test_a_record_of_an_earlier_version_releases_nothing(saved):
    (saved.folder / QUANTIZATION).write_text(json.dumps({"recipe": "hybrid"}))
    assert read_quantization(saved).state("int8") is State.UNJUDGED


MS = {"fp32": 9.0, "bf16": 5.0, "onnx": 4.0, "int8": 1.0}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"int8": "released", "bf16": "released"}, "int8"),
        ({"int8": "rejected", "bf16": "released"}, "onnx"),
        ({}, "onnx"),
    ],
)
def test_the_fastest_of_what_was_released_is_chosen(saved, states, expected):
    change(saved, precisions=judged(**states), ms_per_image=MS)
    assert fastest(saved) == expected


def test_bf16_is_chosen_where_it_is_the_fastest(saved):
    change(saved, precisions=judged(bf16="released"), ms_per_image={**MS, "bf16": 0.5})
    assert fastest(saved) == "bf16"


def test_a_bundle_that_was_never_exported_runs_as_it_is(saved):
    for name in ("onnx", "int8"):
        (saved.folder / ONNX_FILES[name]).unlink()
    assert fastest(saved) == "fp32"


def test_on_another_machine_engines_are_timed_anew(saved, monkeypatch):
    change(saved, precisions=judged(int8="released"), ms_per_image={**MS, "int8": 1e9})
    monkeypatch.setattr(hardware, "cores", lambda: 10**6)
    asked = []
    monkeypatch.setattr(
        interleaved, "interleaved_ms", lambda engines, image, rounds: asked.append(image.shape) or dict(MS)
    )
    assert fastest(saved) == "int8"  # by the new times, not by those on record
    assert asked == [(1, 1, 32, 32)]


def test_int8_that_would_overflow_here_is_not_chosen(saved, monkeypatch):
    change(saved, precisions=judged(int8="released"), ms_per_image=MS, bits=8)
    monkeypatch.setattr(hardware, "sums_bytes_exactly", lambda: False)
    assert not read_quantization(saved).exact_here
    assert fastest(saved) == "onnx"
    change(saved, bits=7)
    assert fastest(saved) == "int8"


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
@pytest.mark.parametrize("name", ["fp16", "int8_torch", "fp8"])
def test_what_only_a_gpu_runs_is_neither_used_nor_chosen_without_one(saved, name):
    change(saved, precisions=judged(**{name: "released"}), ms_per_image={**MS, name: 0.01})
    assert fastest(saved) == "onnx"
    with pytest.raises(ConfigError, match=f"precision={name} needs a GPU; expected fp32"):
        check_released(saved, name, allow_rejected=True)
