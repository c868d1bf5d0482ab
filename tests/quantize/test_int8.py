import json

import numpy as np
import onnx
import pytest
from scipy.stats import spearmanr

from radvit.bundle import QUANTIZATION
from radvit.errors import QuantizeError
from radvit.inference.engine import ONNX_FILES, BundleDetector, open_engine, open_onnx
from radvit.quantize import int8
from radvit.quantize.int8 import RECIPES, Images, Quantized, interleaved_ms, outer_convolutions, quantize
from radvit.records import Task


@pytest.fixture(scope="module")
def images():
    """Smooth images with a bright spot, such as a radiograph is made of; (12, 1, 32, 32)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    made = []
    for _ in range(12):
        cx, cy, width = (*rng.uniform(6, 26, 2), rng.uniform(2, 5))
        spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
        made.append(y / 32 - 0.5 + 2 * spot + 0.05 * rng.standard_normal((32, 32)))
    return np.array(made, np.float32)[:, None]


@pytest.fixture(scope="module", params=list(Task), ids=lambda task: task.value)
def done(request, bundle, images, tmp_path_factory):
    """A quantized bundle and what quantizing said."""
    saved = bundle(tmp_path_factory.mktemp("int8"), request.param, ("a", "b"))
    return saved, quantize(saved, images[:8])


def test_the_record_says_what_was_done(done):
    saved, result = done
    record = json.loads((saved.folder / QUANTIZATION).read_text())
    assert record["weights_sha256"] == saved.weights_hash
    assert record["recipe"] == result.recipe
    assert record["recipe"] in RECIPES
    assert record["calibration_images"] == 8
    assert 0 <= record["parity"] <= 1e-3
    assert set(record["ms_per_image"]) == set(record["megabytes"]) == {"fp32", *RECIPES}
    assert all(ms > 0 for ms in record["ms_per_image"].values())
    fastest = min(RECIPES, key=lambda name: record["ms_per_image"][name])
    assert record["recipe"] == fastest


def test_only_the_two_models_and_the_record_are_added(done):
    saved, _ = done
    names = {path.name for path in saved.folder.iterdir()}
    assert names == {"model.safetensors", "model.json", "MODEL_CARD.md", *ONNX_FILES.values(), QUANTIZATION}


def test_sizes_are_those_of_the_files(done):
    saved, result = done
    for name, file in (("fp32", "model.onnx"), (result.recipe, "model.int8.onnx")):
        assert result.megabytes[name] == pytest.approx((saved.folder / file).stat().st_size / 1e6)


def test_int8_ranks_as_fp32_does(done, images):
    saved, _ = done
    fp32, quantized = open_engine(saved, "fp32")(images), open_engine(saved, "int8")(images)
    for name, value in quantized.items():
        assert not np.array_equal(value, fp32[name])
        assert spearmanr(value.numpy().ravel(), fp32[name].numpy().ravel()).statistic > 0.97, name


def test_int8_runs_behind_the_same_detector(done, images):
    saved, _ = done
    scores, boxes = BundleDetector(saved, open_onnx(saved, "int8", threads=1))(images)
    assert scores.shape == (12, 2)
    assert len(boxes) == 12
    assert ((scores >= 0) & (scores <= 1)).all()


def test_weights_of_linear_layers_are_stored_in_a_quarter_of_the_room(done, images, tmp_path):
    saved, _ = done
    fp32 = saved.folder / "model.onnx"
    made = int8.make_recipes(fp32, tmp_path, images[:4])
    before = {tuple(t.dims): t.data_type for t in onnx.load(str(fp32)).graph.initializer}
    after = onnx.load(str(made["dynamic_linear"])).graph.initializer
    width = 32
    assert before[(width, 4 * width)] == onnx.TensorProto.FLOAT
    stored = {t.data_type for t in after if sorted(t.dims) == [width, 4 * width]}
    assert stored == {onnx.TensorProto.INT8}


def test_the_outer_convolutions_stay_fp32(done, images, tmp_path):
    saved, _ = done
    fp32 = saved.folder / "model.onnx"
    graph = onnx.load(str(fp32)).graph
    outer = {node.name: node for node in graph.node if node.name in outer_convolutions(fp32)}
    assert all(node.op_type == "Conv" for node in outer.values())
    # the stem's first reads the image; a detector's last two give scores and boxes, a segmenter's last one masks
    assert len(outer) == {Task.CLASSIFY: 1, Task.DETECT: 3, Task.SEGMENT: 2}[saved.spec.task]
    hybrid = onnx.load(str(int8.make_recipes(fp32, tmp_path, images[:4])["hybrid"])).graph
    made_by = {output: node.op_type for node in hybrid.node for output in node.output}
    quantized = {n.name for n in hybrid.node if n.op_type == "Conv" and made_by.get(n.input[1]) == "DequantizeLinear"}
    plain = {n.name for n in hybrid.node if n.op_type == "Conv"} - quantized
    assert plain == set(outer)
    assert quantized


def test_without_calibration_images_nothing_is_done(bundle, images, tmp_path):
    saved = bundle(tmp_path, Task.CLASSIFY)
    with pytest.raises(QuantizeError, match="no calibration images; expected some from the training split"):
        quantize(saved, images[:0])
    assert not list(tmp_path.glob("*.onnx"))


def test_a_recipe_that_fails_leaves_the_others(done, images, tmp_path, monkeypatch, caplog):
    def unfit(*_):
        raise ValueError("no such node")

    saved, _ = done
    monkeypatch.setattr(int8, "RECIPES", {**RECIPES, "hybrid": unfit})
    assert set(int8.make_recipes(saved.folder / "model.onnx", tmp_path, images[:4])) == {"dynamic_linear"}
    assert "INT8 recipe hybrid does not fit this model: no such node" in caplog.text


def test_where_every_recipe_fails_the_earlier_model_stays(done, images, monkeypatch):
    def unfit(*_):
        raise ValueError("no such node")

    saved, _ = done
    monkeypatch.setattr(int8, "RECIPES", {"hybrid": unfit})
    before = (saved.folder / "model.int8.onnx").read_bytes()
    with pytest.raises(QuantizeError, match="no INT8 recipe fits this model"):
        quantize(saved, images[:4])
    assert (saved.folder / "model.int8.onnx").read_bytes() == before
    assert not [path for path in saved.folder.iterdir() if path.is_dir()]


def test_calibration_feeds_every_image_once(images):
    reader = Images(images)
    batches = []
    while (batch := reader.get_next()) is not None:
        batches.append(batch["images"])
    assert [len(b) for b in batches] == [8, 4]
    np.testing.assert_array_equal(np.concatenate(batches), images)
    assert reader.get_next() is None


def test_timings_are_taken_in_turns(images):
    order = []
    engines = {name: (lambda x, name=name: order.append((name, len(x)))) for name in ("a", "b")}
    ms = interleaved_ms(engines, images[:4])
    assert set(ms) == {"a", "b"}
    assert order == [("a", 4), ("b", 4)] * (int8.ROUNDS + 1)


def test_rows_compare_with_fp32():
    made = Quantized("hybrid", 1e-5, 64, {"fp32": 10.0, "hybrid": 4.0}, {"fp32": 8.0, "hybrid": 2.25})
    assert made.rows()[1:] == [("fp32", "10.00", "1.00x", "8.00"), ("hybrid (chosen)", "4.00", "2.50x", "2.25")]
