import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from radvit.quantize.calibrate import BATCH, Images, Ranges, channel_maxima, tensor_ranges
from radvit.quantize.quiet import without_chatter


@pytest.fixture
def scaled(tmp_path):
    """A model of one linear layer; what it reads is the image itself."""
    weight = numpy_helper.from_array(np.eye(8, dtype=np.float32) * 2, "w")
    node = helper.make_node("MatMul", ["images", "w"], ["y"], name="linear")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, 8, 8]) for name in ("images", "y")]
    path = tmp_path / "scaled.onnx"
    model = helper.make_model(
        helper.make_graph([node], "g", value[:1], value[1:], [weight]), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 10
    onnx.save(model, str(path))
    return path


@pytest.fixture
def values():
    """Values between -1 and 2, but for one of 50; (10, 1, 8, 8)."""
    made = np.random.default_rng(0).uniform(-1, 2, (10, 1, 8, 8)).astype(np.float32)
    made[7, 0, 3, 3] = 50.0
    return made


def range_of(path, values, how, name="images"):
    with without_chatter():
        found = tensor_ranges(path, values, how, ["MatMul"])[name]
    low, high = found.range_value
    return float(np.ravel(low)[0]), float(np.ravel(high)[0])


def test_minmax_spans_every_image(scaled, values):
    assert range_of(scaled, values, Ranges.MINMAX) == pytest.approx((values.min(), 50.0))
    assert range_of(scaled, values, Ranges.MINMAX, "y") == pytest.approx((2 * values.min(), 100.0))


@pytest.mark.parametrize("how", [Ranges.PERCENTILE, Ranges.ENTROPY])
def test_the_others_are_not_ruled_by_one_value(scaled, how):
    values = np.random.default_rng(0).uniform(-1, 2, (320, 1, 8, 8)).astype(np.float32)
    values[7, 0, 3, 3] = 50.0  # one of 20,480
    low, high = range_of(scaled, values, how)
    assert 1.5 < high < 10
    assert -10 < low < -0.9


def test_the_largest_of_each_channel_is_that_over_all_images(scaled, values):
    model = onnx.load(str(scaled))
    found = channel_maxima(model, ["y"], values)["y"]
    np.testing.assert_allclose(found, 2 * np.abs(values).max(axis=(0, 1, 2)))
    assert [output.name for output in model.graph.output] == ["y"]


def test_calibration_feeds_every_image_once(values):
    reader = Images(values)
    batches = []
    while (batch := reader.get_next()) is not None:
        batches.append(batch["images"])
    assert [len(b) for b in batches] == [BATCH, BATCH, 2]
    np.testing.assert_array_equal(np.concatenate(batches), values)
    assert reader.get_next() is None
