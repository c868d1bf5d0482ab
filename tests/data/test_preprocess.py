from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.data.preprocess import Placement, Preprocess, _halved
from radvit.dicom.voi import Rule, Voi
from radvit.errors import ConfigError, DataError

sides = st.integers(1, 700)


def test_an_image_of_the_models_size_stays_bit_for_bit() -> None:
    image = np.random.default_rng(0).random((28, 28), np.float32)
    square, placement = Preprocess(28).apply(image)
    assert placement == Placement(1.0, 0.0, 0.0)
    np.testing.assert_array_equal(square, image.astype(np.float16))


def test_reducing_by_a_power_of_two_is_the_mean_of_blocks() -> None:
    image = np.random.default_rng(0).random((128, 64), np.float32)
    square, placement = Preprocess(32).apply(image)
    blocks = image.astype(np.float64).reshape(32, 4, 16, 4).mean((1, 3))
    np.testing.assert_allclose(square[:, 8:24], blocks, atol=1e-3)
    assert not square[:, :8].any()
    assert not square[:, 24:].any()
    assert placement == Placement(0.25, 8.0, 0.0)


def test_a_reduced_image_keeps_its_mean() -> None:
    image = np.random.default_rng(0).random((411, 411), np.float32)
    square, _ = Preprocess(100).apply(image)
    assert square.astype(np.float64).mean() == pytest.approx(image.mean(), abs=1e-3)


@pytest.mark.parametrize("shape", [(411, 300), (300, 411), (64, 64), (20, 33), (2001, 1333)])
@pytest.mark.parametrize("size", [64, 96])
def test_placement_tells_where_a_bright_spot_went(shape: tuple[int, int], size: int) -> None:
    rows, columns = shape
    image = np.zeros(shape, np.float32)
    y, x, side = rows // 2 + rows // 5, columns // 4, max(2, rows // 8)
    image[y : y + side, x : x + side] = 1
    square, placement = Preprocess(size).apply(image)
    weights = square.astype(np.float64)
    found_y, found_x = ((np.indices(square.shape) + 0.5) * weights).sum((1, 2)) / weights.sum()
    box = placement.to_model(np.array([[x, y, x + side, y + side]], np.float64))[0]
    assert (found_x, found_y) == pytest.approx(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), abs=0.06)
    assert weights.sum() == pytest.approx((box[2] - box[0]) * (box[3] - box[1]), rel=0.02)


@settings(deadline=None, max_examples=60)
@given(rows=sides, columns=sides, size=st.integers(1, 96), seed=st.integers(0, 99))
def test_boxes_come_back_and_the_image_fits_its_square(rows: int, columns: int, size: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((rows, columns), np.float32)
    square, placement = Preprocess(size).apply(pixels)
    assert square.shape == (size, size)
    assert square.dtype == np.float16
    assert 0 <= square.min() <= square.max() <= 1
    whole = np.array([[0, 0, columns, rows]], np.float64)
    inside = placement.to_model(whole)
    assert inside.min() >= -1e-9
    assert inside.max() <= size + 1e-9
    boxes = np.random.default_rng(seed).random((5, 4)) * [columns, rows, columns, rows]
    np.testing.assert_allclose(placement.to_image(placement.to_model(boxes)), boxes, atol=1e-9)
    single = boxes.astype(np.float32)
    np.testing.assert_allclose(placement.to_image(placement.to_model(single)), single, atol=2e-3)


def test_the_input_is_not_changed_and_a_second_time_gives_the_same() -> None:
    image = np.random.default_rng(1).random((333, 207), np.float32)
    before = image.copy()
    first, second = Preprocess(48).apply(image)[0], Preprocess(48).apply(image)[0]
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(first, second)


def test_no_boxes_stay_no_boxes() -> None:
    none = np.zeros((0, 4), np.float32)
    assert Placement(0.5, 3.0, 0.0).to_model(none).shape == (0, 4)
    assert Placement(0.5, 3.0, 0.0).to_image(none).dtype == np.float32


def test_normalise_subtracts_the_mean_and_divides_by_std() -> None:
    x = np.array([[0.0, 0.5, 1.0]], np.float16)
    out = Preprocess(8, mean=0.5, std=0.25).normalise(x)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, [[-2, 0, 2]])


def test_records_survive_json_and_pickle() -> None:
    fitting, placement = Preprocess(256, 0.4, 0.2, Voi(Rule.WIDEST, "lung")), Placement(0.1194, 22.9, 0.0)
    assert Preprocess.from_dict(json.loads(json.dumps(fitting.to_dict()))) == fitting
    assert Placement.from_dict(json.loads(json.dumps(placement.to_dict()))) == placement
    assert pickle.loads(pickle.dumps(fitting)) == fitting  # noqa: S301


@pytest.mark.parametrize(
    ("arguments", "message"), [((0,), "image size 0"), ((8, 0.5, 0.0), "std 0.0"), ((8, float("nan")), "mean nan")]
)
def test_senseless_values_are_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Preprocess(*arguments)  # type: ignore[arg-type]


def test_a_record_from_before_windows_could_be_chosen_means_the_first() -> None:
    assert Preprocess.from_dict({"size": 8, "mean": 0.5, "std": 0.2}) == Preprocess(8, 0.5, 0.2, Voi())
    for odd in ({"rule": "lightest"}, {"explanation": "("}, {"bogus": 1}, None):
        with pytest.raises(DataError, match="expected the numbers"):
            Preprocess.from_dict({"size": 8, "mean": 0.5, "std": 0.2, "voi": odd})


def test_a_record_without_size_is_refused() -> None:
    with pytest.raises(DataError, match="expected the numbers size, mean and std"):
        Preprocess.from_dict({"mean": 0.5, "std": 0.2})


@pytest.mark.parametrize("shape", [(97, 203), (352, 428), (1, 700), (640, 3), (333, 256), (129, 511)])
def test_filling_up_the_strips_alone_gives_the_bits_of_filling_up_the_image(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(7).random(shape).astype(np.float32)
    for times in (1, 2, 3, 4):
        block = 2**times
        whole = np.pad(pixels, [(0, -n % block) for n in shape], mode="edge")
        for _ in range(times):
            whole = cv2.resize(whole, (whole.shape[1] // 2, whole.shape[0] // 2), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(_halved(pixels, times), whole)
