from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from radvit.data.checks import duplicates, likeness
from radvit.data.checks.duplicates import digest, look_alikes, near_pairs, perceptual_hash, resized, thumbnails
from radvit.data.checks.likeness import DETAIL_SIDE
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.records import FloatArray, Geometry

Picture = Callable[[int], FloatArray]
Stacked = Callable[..., Cohort]


def jpeg(image: FloatArray) -> FloatArray:
    coded = cv2.imencode(".jpg", (255 * image).round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE) / 255, np.float32)


def cropped(image: FloatArray) -> FloatArray:
    return np.asarray(cv2.resize(image[1:-1, 1:-1], image.shape), np.float32)


CHANGES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "jpeg": jpeg,
    "darker": lambda image: image * np.float32(0.8),
    "gamma": lambda image: image ** np.float32(1.25),
    "smaller": lambda image: np.asarray(cv2.resize(cv2.resize(image, (48, 48)), image.shape), np.float32),
    "cropped": cropped,
}


@pytest.mark.parametrize("frequencies", [8, 16])
def test_hashes_are_those_of_imagehash(picture: Picture, frequencies: int) -> None:
    side = 4 * frequencies
    grey = np.stack([(255 * cv2.resize(picture(i), (side, side))).round().astype(np.uint8) for i in range(5)])
    expected = [imagehash.phash(Image.fromarray(image), frequencies).hash.ravel() for image in grey]
    found = np.unpackbits(perceptual_hash(grey.astype(np.float32), frequencies).view(np.uint8), axis=1)
    assert np.array_equal(found.astype(bool), expected)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_picture_that_was_changed_a_little_looks_the_same(
    picture: Picture, stacked: Stacked, change: Callable[[FloatArray], FloatArray]
) -> None:
    pictures = [picture(i) for i in range(6)]
    equal, looks = look_alikes(stacked([*pictures, change(pictures[2])]))
    assert looks[6] == looks[2]
    assert len(set(looks[:6].tolist())) == 6
    assert len(set(equal.tolist())) == 7


def test_other_pictures_do_not_though_they_share_a_strong_frame(picture: Picture, stacked: Stacked) -> None:
    looks = look_alikes(stacked([picture(i) for i in range(60)]))[1]
    assert len(set(looks.tolist())) == 60


def test_equal_pixels_have_one_number_whatever_else_differs(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(i) for i in (0, 1, 0, 2, 1)])
    equal, looks = look_alikes(cohort)
    expected = [cohort.pixels[i].tobytes() == cohort.pixels[j].tobytes() for i, j in combinations(range(5), 2)]
    assert [equal[i] == equal[j] for i, j in combinations(range(5), 2)] == expected
    assert [looks[i] == looks[j] for i, j in combinations(range(5), 2)] == expected


def test_pictures_of_one_part_need_not_be_compared(picture: Picture, stacked: Stacked) -> None:
    one = picture(0)
    cohort = stacked([one, one * np.float32(0.9), picture(1), jpeg(picture(1)), one * np.float32(0.8)])
    looks = look_alikes(cohort, np.array([0, 0, 0, 1, -1]))[1]
    assert looks[2] == looks[3]
    assert len({looks[0], looks[1], looks[2], looks[4]}) == 4
    assert look_alikes(cohort)[1][0] == look_alikes(cohort)[1][1]


def test_an_equal_picture_in_another_part_is_compared_from_there(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(0), picture(0), picture(0) * np.float32(0.9)])
    for parts in ([0, 1, 0], [0, 1, 1], [0, 0, 1]):
        assert len(set(look_alikes(cohort, np.array(parts))[1].tolist())) == 1


def test_blank_pictures_look_like_nothing(stacked: Stacked) -> None:
    blank = [np.full((64, 64), grey, np.float32) for grey in (0.0, 0.25, 0.5)]
    assert len(set(look_alikes(stacked(blank))[1].tolist())) == 3


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one(picture: Picture, stacked: Stacked, count: int) -> None:
    equal, looks = look_alikes(stacked([picture(0)] * count))
    assert equal.tolist() == looks.tolist() == [0] * count


def test_pairs_are_those_of_a_loop(picture: Picture, stacked: Stacked) -> None:
    pictures = [picture(0), picture(1), cropped(picture(0)), picture(2), jpeg(picture(1)), picture(0) * np.float32(0.7)]
    thumbs = thumbnails(stacked(pictures), range(6))
    both = [(i, j) for i, j in combinations(range(6), 2) if len(near_pairs(thumbs[[i, j]])[0])]
    assert sorted(zip(*(side.tolist() for side in near_pairs(thumbs)), strict=True)) == both
    assert set(both) == {(0, 2), (0, 5), (2, 5), (1, 4)}


def test_pairs_are_the_same_however_many_pictures_are_prepared_at_a_time(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbs = np.stack([resized(picture(seed // 2) ** (1 + 0.2 * (seed % 2)), DETAIL_SIDE) for seed in range(14)])
    whole = near_pairs(thumbs)
    monkeypatch.setattr(duplicates, "_HASHED", 3)
    monkeypatch.setattr(likeness, "_CHUNK", 5)
    assert len(whole[0]) == 7
    for part, expected in zip(near_pairs(thumbs), whole, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_padding_is_cut_off(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(0)])
    wide = picture(0)[:40]
    square, placement = Preprocess(64).apply(wide)
    padded = replace(cohort.samples[0], geometry=Geometry(40, 64), placement=placement)
    thumb = thumbnails(Cohort(square[None], (padded,), ("nodule",), ""), [0], 40)[0]
    assert thumb == pytest.approx(
        cv2.resize(square[12:52].astype(np.float32), (40, 40), interpolation=cv2.INTER_AREA), abs=1e-6
    )


def test_digests_are_of_the_content_whatever_the_memory_layout(picture: Picture) -> None:
    image = picture(0).astype(np.float16)
    assert digest(image) == digest(np.asfortranarray(image)) == digest(image.astype(">f2"))
    assert digest(image) != digest(image.T)
