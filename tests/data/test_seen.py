from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from radvit.data.samples import Cohort
from radvit.data.seen import load_training_images, overlaps, save_training_images, training_images
from radvit.data.splits import Splits
from radvit.errors import DataError
from radvit.records import FloatArray


@pytest.fixture
def cohort(make_cohort: Callable[..., Cohort]) -> Cohort:
    """Twelve images of ten patients, with structure of their own."""
    cohort = make_cohort([0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9], size=32)
    pixels = np.stack([drawn(seed) for seed in range(12)])
    return replace(cohort, pixels=pixels)


def drawn(seed: int) -> FloatArray:
    noise = np.random.default_rng(seed).random((8, 8), np.float32)
    return np.asarray(cv2.resize(noise, (32, 32), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float16)


@pytest.fixture
def splits(cohort: Cohort) -> Splits:
    return Splits(tuple(range(6)), (6, 7), (8, 9, 10, 11), tuple(sample.name for sample in cohort.samples))


def test_what_was_not_trained_on_is_not_known(cohort: Cohort, splits: Splits) -> None:
    assert overlaps(training_images(cohort, splits), cohort, splits.test) == []
    assert overlaps(training_images(cohort, splits), cohort, []) == []


def test_images_and_patients_are_known_again_each_by_itself(cohort: Cohort, splits: Splits) -> None:
    known = training_images(cohort, splits)
    assert [(o.split, o.images, o.patients, o.look_alikes) for o in overlaps(known, cohort, (0, 1, 6, 8))] == [
        ("train", 2, 1, 0),
        ("val", 1, 1, 0),
    ]
    pixels = np.array(cohort.pixels)
    pixels[8], pixels[9] = pixels[0], pixels[2] * np.float16(0.9)
    other = replace(cohort, pixels=pixels)
    assert [(o.split, o.images, o.patients, o.look_alikes) for o in overlaps(known, other, (8, 9))] == [
        ("train", 1, 0, 1)
    ]
    strangers = replace(cohort, pixels=np.array(cohort.pixels)[::-1].copy())
    found = overlaps(known, strangers, (7,))  # a tuned patient with the pixels of a training image
    assert [(o.split, o.images, o.patients) for o in found] == [("train", 1, 0), ("val", 0, 1)]


def test_words(cohort: Cohort, splits: Splits) -> None:
    found = overlaps(training_images(cohort, splits), cohort, (0, 1))
    assert [str(one) for one in found] == ["2 equal images and 1 patient trained on"]
    assert found[0].to_dict() == {"split": "train", "images": 2, "look_alikes": 0, "patients": 1}


def test_a_record_comes_back_and_names_nobody(cohort: Cohort, splits: Splits, tmp_path: Path) -> None:
    known = training_images(cohort, splits)
    save_training_images(tmp_path / "record.json", known)
    loaded = load_training_images(tmp_path / "record.json")
    for name, one in known.items():
        for field in ("pixels", "patients", "looks"):
            assert np.array_equal(getattr(one, field), getattr(loaded[name], field))
    text = (tmp_path / "record.json").read_text()
    assert not any(s.header.patient in text or s.header.image in text for s in cohort.samples)


def test_the_record_does_not_tell_the_order_of_images(cohort: Cohort, splits: Splits, tmp_path: Path) -> None:
    for number, order in enumerate(((0, 1, 2, 3, 4, 5), (5, 3, 1, 0, 2, 4))):
        save_training_images(tmp_path / f"{number}", training_images(cohort, replace(splits, train=order)))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_a_record_takes_64_bytes_an_image_and_11_a_patient(make_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = make_cohort(list(range(300)), size=32)
    splits = Splits(tuple(range(300)), (), (), tuple(sample.name for sample in cohort.samples))
    save_training_images(tmp_path / "record.json", training_images(cohort, splits))
    assert (tmp_path / "record.json").stat().st_size == pytest.approx(300 * (40 + 8) * 4 / 3, abs=250)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"format": "radvit.training-images/1", "train": {}})])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(DataError, match=r"record\.json: can't be read as a record of training images"):
        load_training_images(tmp_path / "record.json")
    (tmp_path / "record.json").write_text('{"format": "other"}')
    with pytest.raises(DataError, match="no record of the form"):
        load_training_images(tmp_path / "record.json")
