from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from radvit.data.samples import Sample
from radvit.data.splits import check_disjoint, split_fold
from radvit.errors import DataError

Make = Callable[..., Sample]


@pytest.fixture
def samples(sample: Make) -> list[Sample]:
    """50 patients of one to three images; one in five has the first label and three have the second."""
    owners = [p for p in range(50) for _ in range(1 + p % 3)]
    return [sample(i, p, (float(p % 5 == 0), float(p < 3))) for i, p in enumerate(owners)]


def test_folds_are_disjoint_cover_everything_and_keep_patients_whole(samples: list[Sample]) -> None:
    folds = [split_fold(samples, 5, fold) for fold in range(5)]
    assert sorted(i for splits in folds for i in splits.test) == list(range(len(samples)))
    for splits in folds:
        check_disjoint(samples, splits)
        assert sorted(splits.train + splits.val + splits.test) == list(range(len(samples)))
        assert splits.val


def test_folds_have_their_share_of_a_label(samples: list[Sample]) -> None:
    positive = [sum(samples[i].targets[0] > 0 for i in split_fold(samples, 5, fold).test) for fold in range(5)]
    total = sum(sample.targets[0] > 0 for sample in samples)
    assert max(positive) - min(positive) <= 3
    assert sum(positive) == total


def test_seeds_give_other_folds_and_another_key_the_same(samples: list[Sample]) -> None:
    assert split_fold(samples, 5, 0, seed=1).test != split_fold(samples, 5, 0, seed=0).test
    renamed = [replace(s, header=replace(s.header, patient=s.header.patient[::-1])) for s in samples]
    assert split_fold(renamed, 5, 2).test == split_fold(samples, 5, 2).test
    assert split_fold(renamed, 5, 2).val == split_fold(samples, 5, 2).val


def test_as_many_folds_as_patients(sample: Make) -> None:
    samples = [sample(i, i, (float(i == 0),)) for i in range(6)]
    assert sorted(split_fold(samples, 6, fold, val=0.2).test[0] for fold in range(6)) == list(range(6))


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (5, 5), (5, -1)])
def test_senseless_folds_are_refused(samples: list[Sample], folds: int, fold: int) -> None:
    with pytest.raises(DataError, match=f"fold {fold} of {folds}"):
        split_fold(samples, folds, fold)


def test_too_few_patients(sample: Make) -> None:
    with pytest.raises(DataError, match="3 patients are too few for 5 folds"):
        split_fold([sample(i, i // 2) for i in range(6)], 5, 0)
