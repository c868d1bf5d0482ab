from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvit.data.sampling import EpochSampler, balanced_odds, turns


def epoch(number: int, *args: object, **named: object) -> list[tuple[int, int, int]]:
    sampler = EpochSampler(*args, **named)  # type: ignore[arg-type]
    sampler.set_epoch(number)
    return list(sampler)


def test_devices_share_an_epoch_without_overlap() -> None:
    seen = [epoch(4, 10, 3, replicas=2, rank=rank) for rank in (0, 1)]
    assert {(e, turn) for part in seen for e, _, turn in part} == {(4, 0)}
    assert sorted(i for part in seen for _, i, _ in part) == list(range(10))
    uneven = [epoch(0, 5, 3, replicas=2, rank=rank) for rank in (0, 1)]
    assert [len(part) for part in uneven] == [3, 3]


@given(st.lists(st.integers(0, 5), max_size=20))
def test_turns_are_those_of_a_loop(order: list[int]) -> None:
    assert turns(np.array(order, np.int64)).tolist() == [order[:place].count(one) for place, one in enumerate(order)]


@pytest.mark.parametrize(
    ("targets", "shares"),
    [
        ([[1], [0], [0], [0]], [1 / 2, 1 / 6, 1 / 6, 1 / 6]),
        ([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], [1 / 3, 1 / 6, 1 / 6, 1 / 3]),  # classes exclude each other
        ([[1, 1], [1, 0], [1, 0], [0, 0]], [3 / 8, 1 / 8, 1 / 8, 3 / 8]),  # 1, 1/3, 1/3, 1: by the rarest label
        ([[1, 0], [1, 0]], [1 / 2, 1 / 2]),  # a class without images is drawn by nobody
        ([[0], [0]], [1 / 2, 1 / 2]),
    ],
)
def test_odds_are_the_inverse_of_the_rarest_labels_images(targets: list[list[int]], shares: list[float]) -> None:
    np.testing.assert_allclose(balanced_odds(np.array(targets, np.float32)), shares)


def test_draws_come_in_these_proportions_from_epoch_to_epoch() -> None:
    targets = (np.random.default_rng(0).random((500, 3)) < [0.4, 0.1, 0.02]).astype(np.float32)
    odds = balanced_odds(targets)
    drawn = np.bincount([i for number in range(60) for _, i, _ in epoch(number, 500, 3, odds=odds)], minlength=500)
    spread = np.sqrt(30000 * odds * (1 - odds))
    assert np.abs((drawn - 30000 * odds) / spread).max() < 5
    rare = targets[:, 2] > 0
    assert drawn[rare].sum() / 30000 == pytest.approx(odds[rare].sum(), abs=0.01)
    assert odds[rare].sum() > 5 * rare.mean()


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    odds = np.array([0.7, 0.1, 0.1, 0.1])
    first = epoch(2, 4, 3, odds=odds)
    assert epoch(2, 4, 3, odds=odds) == first
    others = [epoch(number, 4, seed, odds=odds) for number, seed in ((3, 3), (2, 4))]
    assert all([i for _, i, _ in other] != [i for _, i, _ in first] for other in others)


def test_devices_share_the_draws_of_one() -> None:
    odds = balanced_odds((np.arange(12) < 2)[:, None])
    whole = epoch(1, 12, 3, odds=odds)
    parts = [epoch(1, 12, 3, replicas=2, rank=rank, odds=odds) for rank in (0, 1)]
    assert [one for pair in zip(*parts, strict=True) for one in pair] == whole
    assert max(Counter((i, turn) for _, i, turn in whole).values()) == 1  # no image is changed twice in the same way


def test_draws_go_on_where_they_were() -> None:
    odds = balanced_odds((np.arange(12) < 2)[:, None])
    sampler = EpochSampler(12, 3, odds=odds)
    sampler.set_epoch(5)
    whole = list(sampler)
    sampler.begun = (5, 8)
    assert list(sampler) == whole[8:]
