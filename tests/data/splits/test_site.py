from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from radvit.data.samples import Sample
from radvit.data.splits import COLUMNS, check_disjoint, split_by_site
from radvit.errors import DataError

MAKERS = ("Acme", "acme ", "Beta", None)


@pytest.fixture
def samples(sample: Callable[..., Sample]) -> list[Sample]:
    """40 patients of two images from one maker each, but patient 0, who also has one from another."""
    made = [sample(i, i // 2, (float(i % 3 == 0),), manufacturer=MAKERS[(i // 2) % 4], view="PA") for i in range(80)]
    return [*made, sample(80, 0, (0.0,), manufacturer="Beta")]


def test_all_images_of_a_maker_are_the_test_split_and_none_of_their_patients_is_learned_from(
    samples: list[Sample], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        splits = split_by_site(samples, "manufacturer", ["ACME"], 0.2, 0)
    assert splits.test == tuple(i for i in range(80) if (i // 2) % 4 in (0, 1))
    assert all(samples[i].header.manufacturer == "Beta" for i in splits.train + splits.val)
    assert 80 not in splits.train + splits.val  # of a patient who is held out
    assert len(splits.train + splits.val) == 20
    assert len(splits.val) == 4
    check_disjoint(samples, splits)
    assert "21 images in no split" in caplog.text


def test_several_values_can_be_held_out(samples: list[Sample]) -> None:
    with pytest.raises(DataError, match="0 patients left to learn from"):
        split_by_site(samples, "manufacturer", ["acme", "beta"])


def test_values_that_do_not_occur_are_refused_and_those_that_do_are_named(samples: list[Sample]) -> None:
    with pytest.raises(DataError, match=r"names gamma; expected values of manufacturer that occur: acme \(40\), beta"):
        split_by_site(samples, "manufacturer", ["Gamma", "beta"])
    with pytest.raises(DataError, match="names nothing"):
        split_by_site(samples, "view", [])
    with pytest.raises(DataError, match="that occur: none"):
        split_by_site(samples, "sex", ["F"])


def test_only_known_columns_can_be_named(samples: list[Sample]) -> None:
    with pytest.raises(DataError, match="expected one of manufacturer, view, modality, body_part, sex"):
        split_by_site(samples, "patient", ["x"])
    from radvit.config.data import COLUMNS as CONFIGURED

    assert COLUMNS == CONFIGURED
