from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radvit.data.transforms import (
    Augment,
    AugmentSpec,
    apply,
    apply_boxes,
    apply_mask,
    draw,
    matrix,
    standard_noise,
)
from radvit.errors import ConfigError
from radvit.records import FloatArray

STRONG = AugmentSpec(20, 0.2, 0.1, True, 0.1, 0.2, 0.2, 0.02, 1.0, 0.5, 0.1, 0.5)
NO_BOXES = np.zeros((0, 4), np.float32)


def square_at(x: int, y: int, side: int, size: int = 96) -> tuple[FloatArray, FloatArray]:
    image = np.zeros((size, size), np.float32)
    image[y : y + side, x : x + side] = 1
    return image, np.array([[x, y, x + side, y + side]], np.float32)


def test_nothing_to_change_changes_nothing() -> None:
    image, boxes = square_at(20, 30, 10)
    out, moved, kept = apply(draw(AugmentSpec(), np.random.default_rng(0)), image, boxes)
    np.testing.assert_array_equal(out, image)
    np.testing.assert_array_equal(moved, boxes)
    assert kept.tolist() == [True]
    assert out is not image


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 10_000), x=st.integers(0, 80), y=st.integers(0, 80), side=st.integers(6, 16))
def test_a_box_still_holds_what_it_held_and_not_much_more(seed: int, x: int, y: int, side: int) -> None:
    image, boxes = square_at(x, y, side)
    spec = AugmentSpec(rotate_deg=20, scale=0.2, shift=0.1, flip=True)
    out, moved, kept = apply(draw(spec, np.random.default_rng(seed)), image, boxes)
    if not kept[0]:
        return
    rows, columns = np.nonzero(out > 0.5)
    x1, y1, x2, y2 = moved[0]
    assert x1 - 1 <= columns.min()
    assert columns.max() + 1 <= x2 + 1
    assert y1 - 1 <= rows.min()
    assert rows.max() + 1 <= y2 + 1
    assert (x2 - x1) * (y2 - y1) <= 2.2 * max(1, len(rows))  # a turned square fills at least half of its hull


def test_the_image_is_moved_as_scipy_moves_it() -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((64, 64)), 3).astype(np.float32)
    change = Augment(rotate_deg=11, scale=1.1, shift=(0.05, -0.03), flip=True)
    out, _, _ = apply(change, image, NO_BOXES)
    affine = np.vstack([matrix(change, 64).astype(np.float64), [0, 0, 1]])
    back = np.linalg.inv(affine)  # scipy asks where each output pixel comes from, in (row, column)
    turn = back[1::-1, 1::-1]
    offset = back[1::-1, 2] + turn @ [0.5, 0.5] - 0.5
    expected = ndimage.affine_transform(image.astype(np.float64), turn, offset, order=1, cval=0)
    np.testing.assert_allclose(out[8:-8, 8:-8], expected[8:-8, 8:-8], atol=0.01)


def test_a_flip_alone_mirrors_image_and_box() -> None:
    image = np.random.default_rng(0).random((32, 32), np.float32)
    out, boxes, _ = apply(Augment(flip=True), image, np.array([[2, 3, 8, 9]], np.float32))
    np.testing.assert_allclose(out, image[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(boxes, [[24, 3, 30, 9]], atol=1e-5)


def test_no_flip_is_drawn_unless_the_spec_allows_it() -> None:
    drawn = [
        draw(replace(STRONG, flip=flip), np.random.default_rng(i)).flip for flip in (False, True) for i in range(40)
    ]
    assert not any(drawn[:40])
    assert 8 < sum(drawn[40:]) < 32


def test_a_box_mostly_outside_is_dropped_and_the_others_are_cut() -> None:
    image = np.zeros((100, 100), np.float32)
    boxes = np.array([[60, 40, 80, 60], [10, 40, 30, 60], [85, 40, 95, 60]], np.float32)
    _, moved, kept = apply(Augment(shift=(0.25, 0)), image, boxes)
    assert kept.tolist() == [True, True, False]
    np.testing.assert_allclose(moved, [[85, 40, 100, 60], [35, 40, 55, 60]], atol=1e-4)


def test_tone_follows_its_formula() -> None:
    image = np.random.default_rng(0).random((40, 40), np.float32)
    out, _, _ = apply(Augment(gamma=1.3, contrast=0.8, brightness=0.04), image, NO_BOXES)
    expected = np.clip(image.astype(np.float64) ** 1.3 * 0.8 + 0.1 + 0.04, 0, 1)
    np.testing.assert_allclose(out, expected, atol=2e-4)


def test_noise_is_standard_and_the_same_for_the_same_seed() -> None:
    noise = standard_noise((200, 301), 5)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(noise, standard_noise((200, 301), 5))
    assert (noise != standard_noise((200, 301), 6)).mean() > 0.8


def test_cutout_covers_its_part() -> None:
    image = np.zeros((50, 50), np.float32)
    image[0, 0] = 1
    out, _, _ = apply(Augment(cutout=(0.2, 0.4, 0.1, 0.2)), image, NO_BOXES)
    assert (out[20:30, 10:15] == image.mean()).all()
    assert (out != image).sum() == 50


def test_shading_passes_through_its_values_and_is_smooth_between_them() -> None:
    nodes = (0.1, -0.2, 0.3, 0.0, 0.2, -0.1, -0.3, 0.1, 0.05)
    size = 101
    out, _, _ = apply(Augment(shading=nodes), np.full((size, size), 0.5, np.float32), NO_BOXES)
    at = [0, size // 2, size - 1]
    np.testing.assert_allclose(out[np.ix_(at, at)] - 0.5, np.reshape(nodes, (3, 3)), atol=0.02)
    third = np.diff(out.astype(np.float64), n=3, axis=0), np.diff(out.astype(np.float64), n=3, axis=1)
    assert max(np.abs(one).max() for one in third) < 1e-6


def test_sharpening_adds_what_a_blur_takes_away() -> None:
    image = 0.3 + 0.4 * np.random.default_rng(0).random((40, 40), np.float32)
    out, _, _ = apply(Augment(sharpen=0.7), image, NO_BOXES)
    soft = ndimage.gaussian_filter(image.astype(np.float64), 1, mode="mirror")
    np.testing.assert_allclose(out, np.clip(image + 0.7 * (image - soft), 0, 1), atol=1e-3)
    assert out.std() > 1.3 * image.std()


@pytest.mark.parametrize("seed", range(5))
def test_everything_at_once_stays_in_range_and_leaves_its_input_alone(seed: int) -> None:
    image, boxes = square_at(30, 30, 20)
    before = image.copy(), boxes.copy()
    change = draw(STRONG, np.random.default_rng(seed))
    first, second = apply(change, image, boxes), apply(change, image, boxes)
    assert first[0].dtype == np.float32
    assert 0 <= first[0].min() <= first[0].max() <= 1
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(boxes, before[1])


def test_factors_stay_within_the_spec() -> None:
    drawn = [draw(AugmentSpec(scale=0.2, shift=0.1, rotate_deg=7), np.random.default_rng(i)) for i in range(200)]
    scales = np.array([d.scale for d in drawn])
    assert 0.8 <= scales.min() < 0.85
    assert 1.18 < scales.max() <= 1.25
    assert max(abs(d.rotate_deg) for d in drawn) <= 7
    assert max(abs(s) for d in drawn for s in d.shift) <= 0.1


@pytest.mark.parametrize(
    ("field", "value"), [("noise", -1.0), ("scale", 1.0), ("cutout", 1.5), ("blur", float("nan")), ("gamma", 2.0)]
)
def test_senseless_specs_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.{field}"):
        AugmentSpec(**{field: value})


def test_a_mask_moves_with_its_image_and_only_moves() -> None:
    image, _ = square_at(30, 40, 24)
    mask = (image.astype(np.uint8) * 0b101).astype(np.uint8)
    before = mask.copy()
    change = Augment(rotate_deg=15, scale=1.2, shift=(0.04, -0.05), flip=True, gamma=1.2, blur=1.0, noise=0.1)
    moved = apply_mask(change, mask)
    place = replace(change, gamma=1.0, blur=0.0, noise=0.0)
    expected = apply(place, image, NO_BOXES)[0] > 0.5
    assert ((moved > 0) != expected).mean() < 0.003  # at most part of the square's outline
    assert set(np.unique(moved)) == {0, 0b101}
    np.testing.assert_array_equal(mask, before)
    np.testing.assert_array_equal(apply_mask(Augment(noise=0.2, cutout=(0.0, 0.0, 1.0, 1.0)), mask), mask)


def test_boxes_moved_alone_are_those_moved_with_an_image() -> None:
    image, boxes = square_at(30, 30, 20)
    for seed in range(5):
        change = draw(STRONG, np.random.default_rng(seed))
        for one, other in zip(apply_boxes(change, boxes, 96), apply(change, image, boxes)[1:], strict=True):
            np.testing.assert_array_equal(one, other)
    none, kept = apply_boxes(change, NO_BOXES, 96)
    assert (none.shape, kept.shape) == ((0, 4), (0,))
