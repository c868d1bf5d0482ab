from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from radvit.config.data import LEAKS
from radvit.data.checks import LeakKind, check_cohort
from radvit.data.checks.leaks import find_leaks, refuse_leaks
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import DataError
from radvit.records import FloatArray

Picture = Callable[[int], FloatArray]
Stacked = Callable[..., Cohort]


def divided(cohort: Cohort, train: tuple[int, ...], val: tuple[int, ...], test: tuple[int, ...]) -> Splits:
    return Splits(train, val, test, tuple(sample.name for sample in cohort.samples))


def test_the_configuration_knows_the_kinds() -> None:
    assert {kind.value for kind in LeakKind} == set(LEAKS)


def test_each_kind_is_counted_between_each_two_splits(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(i) for i in range(6)], [0, 1, 1, 2, 0, 1])
    splits = divided(cohort, (0, 1), (2, 3), (4, 5))
    found = find_leaks(cohort, splits, np.array([7, 8, 9, 7, 8, 8]))
    assert [(leak.kind.value, leak.between, leak.count) for leak in found] == [
        ("patient", ("train", "val"), 1),
        ("study", ("train", "val"), 1),
        ("near-duplicate", ("train", "val"), 1),
        ("patient", ("train", "test"), 2),
        ("study", ("train", "test"), 2),
        ("near-duplicate", ("train", "test"), 2),
        ("patient", ("val", "test"), 1),
        ("study", ("val", "test"), 1),
    ]
    assert found[0].names == ("P-" + "1".zfill(16),)
    assert found[2].names == (cohort.samples[3].name, cohort.samples[0].name)


def test_no_leak_is_found_within_a_split(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(0)] * 3 + [picture(1), picture(2)], [0, 0, 0, 1, 2])
    check_cohort(cohort, divided(cohort, (0, 1, 2), (3,), (4,)))


def test_a_leak_is_refused_in_a_line_that_says_how_to_accept_it(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(0), picture(1), picture(0) * np.float32(0.9), picture(2)])
    splits = divided(cohort, (0,), (1,), (2, 3))
    with pytest.raises(DataError, match="1 image of test that look like images of train") as caught:
        check_cohort(cohort, splits)
    line = str(caught.value)
    assert f"such as {cohort.samples[2].name} and {cohort.samples[0].name}" in line
    assert "data.accept_leaks=[near-duplicate]" in line
    assert "\n" not in line
    accepted = check_cohort(cohort, splits, ["near-duplicate"])
    assert [leak.to_dict() for leak in accepted] == [
        {"kind": "near-duplicate", "between": ["train", "test"], "count": 1}
    ]


def test_accepting_one_kind_accepts_no_other(picture: Picture, stacked: Stacked) -> None:
    cohort = stacked([picture(0), picture(1), picture(0)], [0, 1, 0])
    splits = divided(cohort, (0,), (1,), (2,))
    with pytest.raises(DataError, match="1 patient in train and test") as caught:
        check_cohort(cohort, splits, ["near-duplicate"])
    assert "data.accept_leaks=[near-duplicate,patient,study]" in str(caught.value)
    assert len(check_cohort(cohort, splits, LEAKS)) == 3


def test_nothing_to_refuse() -> None:
    assert refuse_leaks([]) is None
