from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radvit.data.samples import Sample
from radvit.data.splits import NAMES, check_disjoint, split_by_patient, split_stratified
from radvit.data.splits.by_patient import carve, stratify
from radvit.errors import DataError

Make = Callable[..., Sample]


def test_each_label_and_each_pair_keeps_its_share() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((1000, 4)) < (0.5, 0.2, 0.05, 0.02)
    labels[:100, :2] = True
    part = stratify(labels, (0.7, 0.1, 0.2), rng)
    pair = labels[:, 0] & labels[:, 1]
    for of in (*labels.T, pair, np.ones(1000, bool)):
        shares = np.bincount(part[of], minlength=3)
        assert shares == pytest.approx(of.sum() * np.array([0.7, 0.1, 0.2]), abs=2)


def test_a_rare_label_comes_everywhere_though_a_random_split_could_miss_it() -> None:
    labels = np.zeros((60, 1), bool)
    labels[:3] = True
    for seed in range(20):
        part = stratify(labels, (1 / 3, 1 / 3, 1 / 3), np.random.default_rng(seed))
        assert sorted(part[:3].tolist()) == [0, 1, 2]


def test_a_part_of_no_share_stays_empty_and_none_needs_labels() -> None:
    part = stratify(np.zeros((11, 0), bool), (0.5, 0.0, 0.5), np.random.default_rng(0))
    assert sorted(np.bincount(part, minlength=3).tolist()) == [0, 5, 6]
    assert (part != 1).all()
    assert stratify(np.zeros((0, 2), bool), (0.5, 0.5), np.random.default_rng(0)).shape == (0,)


@pytest.fixture
def samples(sample: Make) -> list[Sample]:
    """60 patients of one to three images; the second label is rare."""
    owners = [p for p in range(60) for _ in range(1 + p % 3)]
    return [sample(i, p, (float(p % 2 == 0), float(p % 10 == 0))) for i, p in enumerate(owners)]


@pytest.mark.parametrize("split", [split_by_patient, split_stratified])
def test_patients_stay_whole_all_images_are_placed_and_seeds_differ(
    split: Callable[..., object], samples: list[Sample]
) -> None:
    first, again, other = split(samples, seed=0), split(samples, seed=0), split(samples, seed=1)
    check_disjoint(samples, first)
    assert sorted(first.train + first.val + first.test) == list(range(len(samples)))
    assert first == again
    assert first.train != other.train


def test_the_stratified_split_spreads_the_rare_label(samples: list[Sample]) -> None:
    for seed in range(5):
        splits = split_stratified(samples, (0.5, 0.25, 0.25), seed)
        rare = [len({samples[i].header.patient for i in splits[n] if samples[i].targets[1]}) for n in NAMES]
        assert sum(rare) == 6
        assert rare[0] == 3
        assert min(rare) >= 1


def test_another_pseudonym_key_gives_the_same_stratified_split(samples: list[Sample]) -> None:
    renamed = [replace(s, header=replace(s.header, patient=s.header.patient[::-1])) for s in samples]
    assert split_stratified(renamed).train == split_stratified(samples).train


def test_unknown_truth_counts_as_absent(sample: Make) -> None:
    unknown = [sample(i, i, (float("nan"),)) for i in range(20)]
    assert [len(split_stratified(unknown)[name]) for name in NAMES] == [14, 2, 4]


def test_val_is_carved_by_patient(samples: list[Sample]) -> None:
    given = list(range(10, 100))
    rest, val = carve(samples, given, 0.25, 3)
    assert sorted(rest + val) == given
    assert not {samples[i].header.patient for i in rest} & {samples[i].header.patient for i in val}
    assert len({samples[i].header.patient for i in val}) == pytest.approx(0.25 * 50, abs=1.5)
    assert carve(samples, given, 0, 3) == (given, [])


def test_too_few_to_carve(sample: Make) -> None:
    with pytest.raises(DataError, match="1 patient left to learn from; too few"):
        carve([sample(0, 0), sample(1, 0)], [0, 1], 0.5, 0)
    with pytest.raises(DataError, match="too few for a val"):
        split_stratified([sample(0, 0)])
