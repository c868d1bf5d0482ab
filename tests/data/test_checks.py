from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radvit.data.checks import check_cohort, check_masks, check_unlabelled
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import DataError
from radvit.records import Lesion


@pytest.fixture
def cohort(make_cohort: Callable[..., Cohort]) -> Cohort:
    return make_cohort([0, 0, 1, 2], size=16)


def splits(cohort: Cohort, train: tuple[int, ...] = (0, 1), val: tuple[int, ...] = (2,)) -> Splits:
    return Splits(train, val, (3,), tuple(s.name for s in cohort.samples))


def with_lesion(cohort: Cohort, *box: float, label: int = 0) -> Cohort:
    first = replace(cohort.samples[0], lesions=(Lesion(box, label),))  # type: ignore[arg-type]
    return replace(cohort, samples=(first, *cohort.samples[1:]))


def with_pixel(cohort: Cohort, value: float) -> Cohort:
    pixels = cohort.pixels.copy()
    pixels[1, 3, 4] = value
    return replace(cohort, pixels=pixels)


def test_a_good_cohort_passes_silently(cohort: Cohort, caplog: pytest.LogCaptureFixture) -> None:
    check_cohort(cohort, splits(cohort))
    assert not caplog.records


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.001, -0.25])
def test_pixels_that_are_no_grey_value_are_found(cohort: Cohort, value: float) -> None:
    with pytest.raises(DataError, match="1 images have pixels that are no number in"):
        check_cohort(with_pixel(cohort, value), splits(cohort))


@pytest.mark.parametrize(
    ("box", "label", "message"),
    [
        ((5, 5, 32, 9), 0, "boxes outside the image"),
        ((5, 5, 9, 42), 0, "boxes outside the image"),
        ((-2, 5, 9, 9), 0, "boxes outside the image"),
        ((9, 5, 9, 9), 0, "boxes without an area"),
        ((float("nan"), 5, 9, 9), 0, "boxes without an area"),
        ((5, 5, 9, 9), 1, "boxes of a class other than the 1 known"),
    ],
)
def test_boxes_that_can_not_be_are_found(cohort: Cohort, box: tuple[float, ...], label: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_cohort(with_lesion(cohort, *box, label=label), splits(cohort))


def test_a_box_may_touch_the_border(cohort: Cohort) -> None:
    check_cohort(with_lesion(cohort, 0, 0, 30.5, 40), splits(cohort))


def test_targets_must_be_known_and_agree_with_boxes(cohort: Cohort) -> None:
    for target, message in [(np.nan, "no known truth"), (0.5, "other than 0 and 1"), (0.0, "its targets call absent")]:
        first = replace(cohort.samples[0], targets=(float(target),))
        with pytest.raises(DataError, match=message):
            check_cohort(replace(cohort, samples=(first, *cohort.samples[1:])), splits(cohort))


def test_the_same_image_twice_is_found(cohort: Cohort) -> None:
    twice = replace(cohort, samples=(cohort.samples[0], *cohort.samples[:1], *cohort.samples[2:]))
    with pytest.raises(DataError, match="1 images stand in the cohort more than once"):
        check_cohort(twice, splits(twice))


def test_every_problem_is_told_at_once(cohort: Cohort) -> None:
    broken = with_lesion(with_pixel(cohort, np.nan), 5, 5, 99, 9)
    with pytest.raises(DataError) as caught:
        check_cohort(broken, splits(broken, train=(0,), val=(1,)))
    for part in ("no number", "outside the image", "1 patients stand in two splits"):
        assert part in str(caught.value)
    with pytest.raises(DataError, match="the val split is empty"):
        check_cohort(cohort, splits(cohort, val=()))


def test_splits_of_another_cohort_are_found(cohort: Cohort) -> None:
    with pytest.raises(DataError, match="made for another cohort"):
        check_cohort(cohort, replace(splits(cohort), images=("a", "b", "c", "d")))


def test_equal_pixels_in_two_splits_are_a_warning(cohort: Cohort, caplog: pytest.LogCaptureFixture) -> None:
    pixels = cohort.pixels.copy()
    pixels[2] = pixels[0]
    with caplog.at_level(logging.WARNING):
        check_cohort(replace(cohort, pixels=pixels), splits(cohort))
    assert "1 images stand in two splits" in caplog.text


def test_pretraining_needs_no_truth_and_no_test_split(cohort: Cohort) -> None:
    unknown = tuple(replace(s, targets=(float("nan"),)) for s in cohort.samples)
    untold = replace(cohort, samples=unknown)
    check_unlabelled(untold, splits(untold))
    check_unlabelled(untold, replace(splits(untold), val=(2, 3), test=()))
    with pytest.raises(DataError, match="the val split is empty"):
        check_unlabelled(untold, splits(untold, val=()))
    with pytest.raises(DataError, match="1 images have pixels that are no number in"):
        check_unlabelled(with_pixel(untold, np.nan), splits(untold))


def test_a_segmenter_needs_masks(cohort: Cohort) -> None:
    check_masks(replace(cohort, masks=np.zeros(cohort.pixels.shape, np.uint8)))
    with pytest.raises(DataError, match=r"model\.task=segment learns from masks and the data have none"):
        check_masks(cohort)
