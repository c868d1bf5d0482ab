import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from radvit import hardware
from radvit.bundle import QUANTIZATION, file_hash
from radvit.errors import QuantizeError
from radvit.inference.engine import BundleDetector, open_engine, open_onnx
from radvit.inference.precision import ONNX_FILES, State, read_quantization
from radvit.quantize.choose import Candidate
from radvit.quantize.export import Parity
from radvit.quantize.int8 import Quantized, making, quantize
from radvit.quantize.recipes import Recipe, Workshop
from radvit.records import Task


@pytest.fixture(scope="module", params=list(Task), ids=lambda task: task.value)
def done(request, bundle, images, tmp_path_factory):
    """A quantized bundle and what quantizing said."""
    saved = bundle(tmp_path_factory.mktemp("int8"), request.param, ("a", "b"))
    return saved, quantize(saved, images[:9])


def test_the_record_says_what_was_done(done):
    saved, result = done
    record = json.loads((saved.folder / QUANTIZATION).read_text())
    assert record["weights_sha256"] == saved.weights_hash
    assert record["int8_sha256"] == file_hash(saved.folder / ONNX_FILES["int8"])
    assert record["recipe"] == result.recipe == record["tried"][0]["name"]
    assert record["calibration"] == {"split": "train", "images": 6, "held": 3}
    assert 0 <= record["parity"]["logits"] <= 1e-4
    assert set(record["ms_per_image"]) == {"fp32", "bf16", "onnx", "int8"}
    assert all(ms > 0 for ms in record["ms_per_image"].values())
    assert record["machine"]["cpu"] == hardware.cpu()
    assert record["bits"] == (8 if hardware.sums_bytes_exactly() else 7)


def test_what_no_gate_has_seen_is_unjudged(done):
    saved, result = done
    assert result.state is State.UNJUDGED
    assert read_quantization(saved).state("int8") is State.UNJUDGED


def test_only_the_two_models_and_the_record_are_added(done):
    saved, _ = done
    names = {path.name for path in saved.folder.iterdir()}
    assert names == {"model.safetensors", "model.json", "MODEL_CARD.md", *ONNX_FILES.values(), QUANTIZATION}


def test_sizes_are_those_of_the_files(done):
    saved, result = done
    for name in ("onnx", "int8"):
        assert result.megabytes[name] == pytest.approx((saved.folder / ONNX_FILES[name]).stat().st_size / 1e6)


def test_int8_ranks_as_fp32_does(done, images):
    saved, _ = done
    fp32, quantized = open_engine(saved, "fp32")(images), open_engine(saved, "int8")(images)
    for name, value in quantized.items():
        assert not np.array_equal(value, fp32[name])
        assert spearmanr(value.ravel(), fp32[name].ravel()).statistic > 0.97, name


def test_int8_runs_behind_the_same_detector(done, images):
    saved, _ = done
    scores, boxes = BundleDetector(saved, open_onnx(saved, "int8", threads=1))(images)
    assert scores.shape == (12, 2)
    assert len(boxes) == 12
    assert ((scores >= 0) & (scores <= 1)).all()


def test_without_calibration_images_nothing_is_done(bundle, images, tmp_path):
    saved = bundle(tmp_path, Task.CLASSIFY)
    with pytest.raises(QuantizeError, match="no calibration images; expected some from the training split"):
        quantize(saved, images[:0])
    assert not list(tmp_path.glob("*.onnx"))


def test_what_is_measured_on_did_not_calibrate(bundle, images, tmp_path, monkeypatch):
    seen = []
    opened = Workshop.open
    monkeypatch.setattr(Workshop, "open", lambda fp32, folder, given: seen.append(given) or opened(fp32, folder, given))
    with making(bundle(tmp_path, Task.CLASSIFY), images[:9]) as made:
        assert made.calibrated == len(seen[0]) == 6
        assert not {one.tobytes() for one in made.held} & {one.tobytes() for one in seen[0]}
        assert {one.tobytes() for one in (*made.held, *seen[0])} == {one.tobytes() for one in images[:9]}


def test_where_every_recipe_fails_the_earlier_model_stays(done, images, monkeypatch):
    def unfit(*_):
        raise ValueError("no such node")

    saved, _ = done
    monkeypatch.setattr(Workshop, "make_of", unfit)
    before = {name: (saved.folder / name).read_bytes() for name in (*ONNX_FILES.values(), QUANTIZATION)}
    with pytest.raises(QuantizeError, match="no INT8 recipe fits this model"):
        quantize(saved, images[:4])
    assert {name: (saved.folder / name).read_bytes() for name in before} == before
    assert not [path for path in saved.folder.iterdir() if path.is_dir()]


def test_tables_compare_with_pytorch_and_mark_what_was_chosen(tmp_path):
    made = (
        Candidate(Recipe(), tmp_path, 0.01, 0.0, 2.25, 4.0),
        Candidate(Recipe(balanced=True), tmp_path, 0.02, 0.0, 2.3, 4.1),
    )
    ms, sizes = {"fp32": 10.0, "bf16": 8.0, "onnx": 5.0, "int8": 4.0}, {"onnx": 8.0, "int8": 2.25}
    result = Quantized("static minmax", State.RELEASED, Parity(1e-6, 0.0), 64, 32, ms, sizes, made)
    assert result.rows()[1:] == [
        ("PyTorch FP32", "10.00", "1.00x", ""),
        ("PyTorch BF16", "8.00", "1.25x", ""),
        ("ONNX Runtime FP32", "5.00", "2.00x", "8.00"),
        ("ONNX Runtime INT8 (static minmax)", "4.00", "2.50x", "2.25"),
    ]
    assert [row[0] for row in result.recipe_rows()[1:]] == ["static minmax (chosen)", "static minmax, balanced"]
