from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.data.preprocess import Placement
from radvit.data.samples import Sample
from radvit.data.splits import (
    NAMES,
    Splits,
    check_disjoint,
    load_splits,
    save_splits,
    split_by_patient,
)
from radvit.errors import DataError
from radvit.records import Geometry, Header


def sample(number: int, patient: int, positive: bool) -> Sample:
    header = Header(f"P-{patient}", "2.25.1", "2.25.2", f"2.25.3{number:03d}", "DX")
    return Sample(header, Geometry(8, 8), Placement(1, 0, 0), (float(positive),))


SAMPLES = tuple(sample(i, i // 2, i % 8 == 0) for i in range(80))  # 40 patients of two images


@settings(deadline=None, max_examples=40)
@given(patients=st.lists(st.integers(0, 40), min_size=30, max_size=90), seed=st.integers(0, 5))
def test_no_patient_is_in_two_splits_and_every_image_is_in_one(patients: list[int], seed: int) -> None:
    samples = [sample(i, p, positive=p % 3 == 0) for i, p in enumerate(patients)]
    if len(set(patients)) < 10:
        return
    splits = split_by_patient(samples, seed=seed)
    of = [{patients[i] for i in splits[name]} for name in NAMES]
    assert sum(map(len, of)) == len(set(patients))
    assert sorted(splits.train + splits.val + splits.test) == list(range(len(patients)))
    assert all(of)


def test_sizes_and_positives_follow_the_fractions() -> None:
    splits = split_by_patient(SAMPLES, (0.7, 0.1, 0.2), seed=3)
    assert [len(splits[name]) for name in NAMES] == [56, 8, 16]
    positive = [sum(SAMPLES[i].positive for i in splits[name]) for name in NAMES]
    assert positive == [7, 1, 2]


def test_seeds_give_other_splits_and_the_same_seed_the_same() -> None:
    assert split_by_patient(SAMPLES, seed=0) == split_by_patient(SAMPLES, seed=0)
    assert split_by_patient(SAMPLES, seed=0).train != split_by_patient(SAMPLES, seed=1).train


def test_another_pseudonym_key_gives_the_same_split() -> None:
    renamed = [replace(s, header=replace(s.header, patient=f"P-{hash(s.header.patient)}")) for s in SAMPLES]
    assert split_by_patient(renamed).train == split_by_patient(SAMPLES).train


@pytest.mark.parametrize(
    ("fractions", "message"), [((0.7, 0.2, 0.2), "add up to 1"), ((1.2, -0.1, -0.1), "at least 0")]
)
def test_senseless_fractions_are_refused(fractions: tuple[float, float, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_by_patient(SAMPLES, fractions)


@pytest.mark.parametrize("images", [0, 1, 2])
def test_too_few_patients_are_refused(images: int) -> None:
    with pytest.raises(DataError, match="too few"):
        split_by_patient(SAMPLES[:images])


def test_a_split_may_be_left_out() -> None:
    assert split_by_patient(SAMPLES, (0.5, 0.5, 0)).test == ()


def test_a_patient_in_two_splits_is_found() -> None:
    splits = Splits((0,), (1,), (2,), tuple(s.name for s in SAMPLES))  # images 0 and 1 are of one patient
    with pytest.raises(DataError, match="1 patient in two splits"):
        check_disjoint(SAMPLES, splits)


@pytest.mark.parametrize("indices", [((0, 1), (1,), ()), ((0, 0), (), ()), ((0, 99), (), ()), ((-1,), (), ())])
def test_impossible_indices_are_refused(indices: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(DataError, match="image"):
        Splits(*indices, ("a", "b"))


def test_the_hash_depends_on_who_is_where_and_not_on_the_order() -> None:
    names = ("a", "b", "c")
    assert Splits((0, 1), (2,), (), names).hash == Splits((1, 0), (2,), (), names).hash
    assert Splits((0, 1), (2,), (), names).hash != Splits((0,), (1, 2), (), names).hash


def test_saved_splits_come_back_even_from_a_reordered_cohort(tmp_path: Path) -> None:
    splits = split_by_patient(SAMPLES, seed=2)
    save_splits(tmp_path / "run" / "splits.json", splits, SAMPLES)
    assert load_splits(tmp_path / "run" / "splits.json", SAMPLES) == splits
    other = load_splits(tmp_path / "run" / "splits.json", SAMPLES[::-1])
    assert other.hash == splits.hash
    assert {other.images[i] for i in other.test} == {splits.images[i] for i in splits.test}


def test_splits_of_other_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    save_splits(path, split_by_patient(SAMPLES), SAMPLES)
    with pytest.raises(DataError, match="70 of its 80 images are not in this data set"):
        load_splits(path, SAMPLES[:10])
    record = json.loads(path.read_text())
    record["splits"]["train"].append(record["splits"]["test"].pop())
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="the file was changed"):
        load_splits(path, SAMPLES)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "x", "hash": "", "splits": {}}'])
def test_what_is_no_splits_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(DataError, match=r"splits\.json"):
        load_splits(tmp_path / "splits.json", SAMPLES)
    with pytest.raises(DataError, match="FileNotFoundError"):
        load_splits(tmp_path / "none.json", SAMPLES)
