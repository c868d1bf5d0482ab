from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from radvit.bench.made import batch_of, check, classifier, made_bundle, radiographs
from radvit.bench.speed import Row, Subject, difference, measure, subjects, timed
from radvit.bench.variants import Variant, cpu_variants, torchao_variants
from radvit.cli import main
from radvit.data.preprocess import Preprocess
from radvit.errors import BundleError, ConfigError
from radvit.inference.engine import open_engine
from radvit.inference.low_precision import CastEngine
from radvit.inference.precision import ONNX_FILES
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.windows import WindowSpec
from radvit.quantize.int8 import quantize
from radvit.records import FloatArray, Task

SMALL = ModelSpec(
    Task.CLASSIFY, 1, BackboneSpec("vit_tiny_patch16_224", 32, patch_size=8, embed_dim=32, depth=2, num_heads=2)
)


class Planted:
    """A clock that only engines move, each by the next of its own seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def engine(self, seconds: Iterator[float], value: float = 1.0) -> Callable[[FloatArray], dict[str, Tensor]]:
        def run(images: FloatArray) -> dict[str, Tensor]:
            self.now += next(seconds)
            return {"logits": np.full((len(images), 1), value, np.float32)}

        return run


def plant(clock: Planted, eager: list[float], other: list[float]) -> list[Variant]:
    """Before the rounds eager PyTorch runs three times, the other twice: outputs, how long a pass is, warm-up."""
    first = clock.engine(iter([9.0, 0.2, 9.0, *eager]), 2.0)
    second = clock.engine(iter([9.0, 9.0, *other]), 2.1)
    return [Variant("torch", "fp32", "cpu", first, 4.0), Variant("onnxruntime", "int8", "cpu", second, 1.0)]


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    clock = Planted()
    variants = plant(clock, [1.0, 2.0, 8.0], [0.5, 0.25, 8.0])  # ratios 2, 8, 1: of the medians it would be 4
    eager, other = timed("some", variants, np.zeros((4, 1, 8, 8), np.float32), 3, clock)
    assert (eager.ms_per_image, eager.ratio_to_eager, eager.low, eager.high) == (500.0, 1.0, 1.0, 1.0)
    assert other.ms_per_image == pytest.approx(0.5 / 4 * 1e3)
    assert other.ratio_to_eager == pytest.approx(2.0)
    assert (other.low, other.high) == pytest.approx(tuple(np.percentile([2, 8, 1], (5, 95))))
    assert (other.engine, other.precision, other.device, other.megabytes) == ("onnxruntime", "int8", "cpu", 1.0)
    assert (other.model, other.size, other.batch) == ("some", 8, 4)
    assert other.difference == pytest.approx(0.05)


def test_short_passes_are_made_several_times_a_turn() -> None:
    clock, calls = Planted(), 5
    eager = clock.engine(iter([0.5, 0.02, *[0.5] * calls, *[0.03] * calls]))  # 0.02 s a pass: 5 fill a turn
    other = clock.engine(iter([0.5, *[0.5] * calls, *[0.01] * calls]))
    variants = [Variant("torch", "fp32", "cpu", eager), Variant("onnxruntime", "fp32", "cpu", other)]
    rows = timed("some", variants, np.zeros((2, 1, 8, 8), np.float32), 1, clock)
    assert [row.ms_per_image for row in rows] == pytest.approx([15.0, 5.0])
    assert rows[1].ratio_to_eager == pytest.approx(3.0)
    with pytest.raises(StopIteration):
        eager(np.zeros((2, 1, 8, 8), np.float32))


def test_outputs_are_held_against_those_expected_all_together() -> None:
    one = {"a": np.array([3.0]), "b": np.array([[4.0]])}
    assert difference(one, one) == 0
    assert difference(one, {"b": np.array([[4.0]]), "a": np.array([3.5])}) == pytest.approx(0.1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """A table of the small model, of one round."""
    return list(measure([Subject("small", SMALL)], [2], 1, 1).rows)


def test_every_engine_and_precision_has_a_row(small: list[Row]) -> None:
    on_cpu = [row for row in small if row.device == "cpu"]
    expected = [("torch", "fp32"), ("torch", "bf16"), ("onnxruntime", "fp32"), ("onnxruntime", "int8")]
    assert [(row.engine, row.precision) for row in on_cpu] == expected
    assert {(row.model, row.size, row.batch) for row in small} == {("small", 32, 2)}
    assert all(row.ms_per_image > 0 for row in small)
    assert all(row.low == row.high == row.ratio_to_eager for row in small)  # of a single round
    assert on_cpu[0].ratio_to_eager == 1


def test_engines_agree_as_far_as_their_precision_goes(small: list[Row]) -> None:
    exact, bf16, onnx, int8 = (row.difference for row in small if row.device == "cpu")
    assert exact == 0
    assert onnx < 1e-4
    assert 0 < bf16 < 0.1
    assert 0 < int8 < 0.5


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.is_file()}


def test_a_saved_model_is_quantized_in_a_copy(bundle: Any, tmp_path: Path) -> None:
    saved = bundle(tmp_path / "run" / "bundle", Task.DETECT)
    before = digests(saved.folder)
    (wanted,) = subjects([], [], tmp_path / "run")
    assert (wanted.name, wanted.spec) == ("tiny", None)
    copy = wanted.saved(tmp_path / "copy", radiographs(1))
    assert digests(saved.folder) == before
    assert {"model.onnx", "model.int8.onnx"} <= set(digests(copy.folder))
    assert copy.weights_hash == saved.weights_hash
    assert [v.precision for v in cpu_variants(copy, 1)] == ["fp32", "bf16", "fp32", "int8"]


def test_a_saved_model_that_was_quantized_is_timed_as_it_is(bundle: Any, tmp_path: Path) -> None:
    saved = bundle(tmp_path / "run" / "bundle", Task.CLASSIFY)
    quantize(saved, batch_of(radiographs(2), saved.preprocess, 2))
    own = digests(saved.folder)
    copy = Subject("tiny", run=tmp_path / "run").saved(tmp_path / "copy", radiographs(1))
    assert {name: digests(copy.folder)[name] for name in ONNX_FILES.values()} == {
        name: own[name] for name in ONNX_FILES.values()
    }


def test_a_cast_engine_computes_the_model_in_its_format(bundle: Any, tmp_path: Path) -> None:
    saved = bundle(tmp_path / "bundle", Task.CLASSIFY)
    images = batch_of(radiographs(1), saved.preprocess, 2)
    expected = open_engine(saved, "fp32")(images)["logits"]
    same = CastEngine(saved.model(), torch.device("cpu"), torch.float32)(images)["logits"]
    low = CastEngine(saved.model(), torch.device("cpu"), torch.bfloat16)(images)["logits"]
    np.testing.assert_allclose(same, expected, rtol=1.3e-6, atol=1e-5)
    assert low.dtype == np.float32
    assert 0 < np.abs(low - expected).max() < 0.1
    assert torch.equal(torch.from_numpy(low), torch.from_numpy(low).bfloat16().float())


def test_torchao_computes_nearly_the_same_in_int8(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    saved = made_bundle(tmp_path / "bundle", classifier("vit_tiny_patch16_224", 64))
    images = batch_of(radiographs(2), saved.preprocess, 2)
    (variant,) = torchao_variants(saved, "cpu", compiled=False)
    assert (variant.engine, variant.precision, variant.device) == ("torchao", "int8", "cpu")
    assert 0 < difference(open_engine(saved, "fp32")(images), variant.run(images)) < 0.3


def test_pictures_are_taken_again_where_a_batch_is_larger() -> None:
    pictures = [np.zeros((40, 30), np.float32), np.ones((40, 30), np.float32)]
    batch = batch_of(pictures, Preprocess(16), 3)
    assert (batch.shape, batch.dtype) == ((3, 1, 16, 16), np.float32)
    np.testing.assert_array_equal(batch[0], batch[2])
    assert batch[1].max() == 2.0  # (1 - 0.5) / 0.25
    assert not np.array_equal(batch[0], batch[1])


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("vit_tiny_patch16_22", 224, "is no timm model; did you mean vit_tiny_patch16_224"),
        ("vit_tiny_patch16_224", 100, "image size 100 px; expected a multiple of the token stride 16"),
        ("resnet18", 224, "is no Vision Transformer"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(name: str, size: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check(classifier(name, size))


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="neither a run folder nor a bundle"):
        subjects([], [], tmp_path)


def test_the_table_and_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--model", "vit_tiny_patch16_224", "--size", "32"]
    main(["bench", "speed", *model, "--batch", "1", "--rounds", "1", "--threads", "1", "--json", str(tmp_path / "r")])
    written = json.loads((tmp_path / "r").read_text())
    assert set(written) == {"rows", "machine"}
    asked = {"engine", "precision", "model", "size", "batch", "ms_per_image", "ratio_to_eager"}
    assert all(asked <= set(row) for row in written["rows"])
    assert {"cpu", "cpu_features", "cores", "threads", "torch", "onnxruntime"} <= set(written["machine"])
    assert written["machine"]["threads"] == 1
    shown = capsys.readouterr().out
    assert all(f" {row['engine']} " in shown for row in written["rows"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected --model NAME or --checkpoint RUN"),
        (["--model", "vit_tiny_patch16_22"], "is no timm model; did you mean"),
        (["--model", "vit_tiny_patch16_224", "--size", "224", "100"], "expected a multiple of the token stride 16"),
        (["--model", "vit_tiny_patch16_224", "--size", "0"], "--size 0; expected at least 1"),
        (["--model", "vit_tiny_patch16_224", "--batch", "4", "0"], "--batch 0; expected at least 1"),
        (["--model", "vit_tiny_patch16_224", "--rounds", "0"], "--rounds 0"),
        (["--model", "vit_tiny_patch16_224", "--threads", "-1"], "--threads -1"),
        (["--model", "vit_tiny_patch16_224", "--json", "no/such/r.json"], "is no folder"),
        (["--checkpoint", "no/such/run"], "does not exist; expected a run folder or a bundle"),
        (["--checkpoint", "no/such/run", "--size", "64"], "--size without --model"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(ran: Any, arguments: list[str], words: str) -> None:
    code, _, err = ran("bench", "speed", *arguments)
    assert (code, len(err)) == (2, 1)
    assert words in err[0]


def test_a_sliding_window_is_timed_over_the_whole_image(bundle: Any, tmp_path: Path) -> None:
    saved = bundle(tmp_path / "bundle", Task.CLASSIFY)
    record = json.loads((saved.folder / "model.json").read_text())
    window = replace(saved.spec, task=Task.DETECT, window=WindowSpec(32, 16)).to_dict()
    record = {**record, "architecture": window, "preprocess": {**record["preprocess"], "size": 64}}
    (saved.folder / "model.json").write_text(json.dumps(record))
    copy = Subject("window", run=saved.folder).saved(tmp_path / "copy", radiographs(1))
    images = batch_of(radiographs(1), copy.preprocess, 2)
    expected, *others = (variant.run(images)["windows"] for variant in cpu_variants(copy, 1))
    assert expected.shape[-2:] == (3, 3)
    for other in others:
        assert np.abs(other - expected).max() < expected.std()
