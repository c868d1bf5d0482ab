from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radvit.data.samples import Cohort, Sample
from radvit.data.splits import NAMES, read_splits, save_splits, split_by_patient
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

KEYED = Pseudonymizer(b"k" * 32)


@pytest.fixture
def cohort(sample: Callable[..., Sample]) -> Cohort:
    """20 patients of two images, named as the loader would name them."""
    samples = tuple(
        sample(i, i // 2, (float(i % 4 == 0),), patient=KEYED.patient(f"MRN{i // 2}"), image=KEYED.uid(f"1.2.{i}"))
        for i in range(40)
    )
    return Cohort(np.zeros((40, 8, 8), np.float16), samples, ("nodule",), "")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str) -> Path:
        path = tmp_path / "splits.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_original_names_and_pseudonyms_of_patients(cohort: Cohort, written: Callable[..., Path]) -> None:
    named = [f"MRN{p},{NAMES[p % 3]}" for p in range(10)]
    named += [f"{KEYED.patient(f'MRN{p}')},{NAMES[p % 3].upper()}" for p in range(10, 20)]
    splits = read_splits(written("patient,split", *named), cohort, KEYED)
    for number, name in enumerate(NAMES):
        assert splits[name] == tuple(i for i in range(40) if (i // 2) % 3 == number)


def test_names_of_images_and_those_left_out(
    cohort: Cohort, written: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["1.2.0,train", f"{cohort.samples[1].name},train", "1.2.2,val", "1.2.6,test", "9.9.9,test"]
    with caplog.at_level(logging.WARNING):
        splits = read_splits(written("split,image", *(",".join(r.split(",")[::-1]) for r in rows)), cohort, KEYED)
    assert (splits.train, splits.val, splits.test) == ((0, 1), (2,), (6,))
    assert "36 images in no split" in caplog.text
    assert "1 of its 5 image" in caplog.text
    assert "9.9.9" not in caplog.text


def test_a_file_without_val_gets_one_from_train(cohort: Cohort, written: Callable[..., Path]) -> None:
    rows = [f"MRN{p},{'train' if p < 16 else 'test'}" for p in range(20)]
    splits = read_splits(written("patient,split", *rows), cohort, KEYED, val=0.25)
    assert len(splits.val) == 8
    assert sorted(splits.train + splits.val) == list(range(32))
    assert splits.test == tuple(range(32, 40))


def test_a_runs_splits_are_taken_over(cohort: Cohort, tmp_path: Path) -> None:
    splits = split_by_patient(cohort.samples, seed=4)
    save_splits(tmp_path / "splits.json", splits, cohort.samples)
    assert read_splits(tmp_path / "splits.json", cohort, KEYED) == splits


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("name,split", "a,train"), "no columns image,split or patient,split"),
        (("patient,split", "MRN1,train", "MRN1,test"), "line 3: this patient stands in train and in test"),
        (("patient,split", "MRN1,holdout"), "line 2: no patient or no split of train, val, test"),
        (("patient,split", ",train"), "line 2: no patient"),
        (("patient,split", "MRN77,train"), "none of its 1 patient is in this data set"),
        (("image,split",), "none of its 0 images is in this data set"),
    ],
)
def test_files_that_can_not_be_used(
    cohort: Cohort, written: Callable[..., Path], lines: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_splits(written(*lines), cohort, KEYED)
    assert "MRN" not in str(caught.value)


def test_a_file_that_is_none(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_splits(tmp_path / "none.csv", cohort, KEYED)
    (tmp_path / "bytes.csv").write_bytes(b"patient,split\n\xff\xfe,train\n")
    with pytest.raises(DataError, match="UnicodeDecodeError"):
        read_splits(tmp_path / "bytes.csv", cohort, KEYED)
