from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radvit.data.samples import Cohort, Sample
from radvit.data.splits import official_splits
from radvit.errors import DataError


@pytest.fixture
def cohort(sample: Callable[..., Sample]) -> Cohort:
    samples = tuple(sample(i, i // 2, (float(i % 4 == 0),)) for i in range(40))
    return Cohort(np.zeros((40, 8, 8), np.float16), samples, ("nodule",), "")


def test_they_are_taken_as_they_are(cohort: Cohort) -> None:
    official = {"train": (0, 1), "val": (2,), "test": (3,)}
    splits = official_splits(replace(cohort, official=official))
    assert (splits.train, splits.val, splits.test) == ((0, 1), (2,), (3,))
    with pytest.raises(DataError, match="no official splits"):
        official_splits(cohort)


def test_without_a_val_one_is_carved_from_train_by_patient(cohort: Cohort) -> None:
    official = {"train": tuple(range(30)), "test": tuple(range(30, 40))}
    splits = official_splits(replace(cohort, official=official), val=0.2, seed=1)
    assert splits.test == official["test"]
    assert sorted(splits.train + splits.val) == list(range(30))
    assert len(splits.val) == 6
    assert not {i // 2 for i in splits.train} & {i // 2 for i in splits.val}
