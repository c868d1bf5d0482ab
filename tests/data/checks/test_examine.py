from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radvit.data.checks import Level, examine
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.records import FloatArray


@pytest.fixture
def cohort(picture: Callable[[int], FloatArray], stacked: Callable[..., Cohort]) -> Cohort:
    return stacked([picture(i) for i in range(6)], [0, 0, 1, 1, 2, 3])


@pytest.fixture
def splits(cohort: Cohort) -> Splits:
    return Splits((0, 1, 2, 3), (4,), (5,), tuple(sample.name for sample in cohort.samples))


def test_a_clean_cohort(cohort: Cohort, splits: Splits) -> None:
    found = examine(cohort, splits)
    assert found.clean
    assert found.remarks == ()
    assert found.counts == {
        "train": {"images": 4, "patients": 2, "studies": 2, "label: nodule": 2},
        "val": {"images": 1, "patients": 1, "studies": 1, "label: nodule": 0},
        "test": {"images": 1, "patients": 1, "studies": 1, "label: nodule": 1},
    }


def test_files_that_were_not_read_are_counted_by_reason_and_those_not_selected_are_not(
    cohort: Cohort, splits: Splits
) -> None:
    failures = {"not-dicom": 2, "truth": 1, "not-selected": 40}
    found = examine(replace(cohort, failures=failures), splits)
    assert not found.clean
    assert [remark.words for remark in found.remarks] == ["2 files not read: not-dicom", "1 file not read: truth"]
    assert found.unreadable == {"not-dicom": 2, "truth": 1}


def test_levels_of_what_is_found(cohort: Cohort, splits: Splits) -> None:
    pixels = cohort.pixels.copy()
    pixels[1] = pixels[0]
    pixels[4] = pixels[2] * np.float16(0.9)
    pixels[3, 5, 5] = np.nan
    spoiled = replace(cohort, pixels=pixels)
    levels = {remark.kind: remark.level for remark in examine(spoiled, splits).remarks}
    assert levels == {
        "pixels": Level.STOPS,
        "leak: near-duplicate": Level.STOPS,
        "duplicate": Level.NOTE,
        "near-duplicate": Level.NOTE,
    }
    accepted = {remark.kind: remark.level for remark in examine(spoiled, splits, ["near-duplicate"]).remarks}
    assert accepted["leak: near-duplicate"] is Level.ACCEPTED


def test_what_was_accepted_or_noted_leaves_a_cohort_clean(cohort: Cohort, splits: Splits) -> None:
    pixels = cohort.pixels.copy()
    pixels[5] = pixels[0]
    assert examine(replace(cohort, pixels=pixels), splits, ["near-duplicate"]).clean
    assert not examine(replace(cohort, pixels=pixels), splits, ["patient"]).clean


def test_the_document_is_plain_json(cohort: Cohort, splits: Splits) -> None:
    document = json.loads(json.dumps(examine(replace(cohort, failures={"truth": 1}), splits).to_dict()))
    assert document["remarks"] == [
        {"level": "to be looked at", "kind": "unreadable", "count": 1, "words": "1 file not read: truth", "names": []}
    ]
    assert (document["clean"], document["unreadable"]) == (False, {"truth": 1})
    assert document["splits"]["train"]["patients"] == 2


def test_splits_of_another_cohort_are_a_remark(cohort: Cohort, splits: Splits) -> None:
    found = examine(cohort, replace(splits, images=tuple("abcdef")))
    assert [remark.words for remark in found.remarks] == ["the splits were made for another cohort"]
