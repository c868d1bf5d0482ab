from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radvit.data.checks.outliers import oddities
from radvit.data.samples import Cohort
from radvit.records import FloatArray, Geometry


@pytest.fixture
def cohort(picture: Callable[[int], FloatArray], stacked: Callable[..., Cohort]) -> Cohort:
    return stacked([picture(i) for i in range(12)])


def with_geometry(cohort: Cohort, geometry: Geometry, of: int = 1) -> Cohort:
    changed = [replace(s, geometry=geometry) if i < of else s for i, s in enumerate(cohort.samples)]
    return replace(cohort, samples=tuple(changed))


def test_a_plain_cohort_has_nothing_odd(cohort: Cohort) -> None:
    assert oddities(cohort) == []


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (Geometry(64, 64), "1 image without a pixel spacing, which others have"),
        (Geometry(64, 64, (0.001, 0.001)), "1 image with an implausible pixel spacing"),
        (Geometry(64, 64, (9.0, 9.0)), "1 image with an implausible pixel spacing"),
        (Geometry(64, 64, (0.2, 0.4)), "1 image with an implausible pixel spacing"),
        (Geometry(64, 64, (0.9, 0.9)), "1 image with a pixel spacing three times what is usual, or a third, for DX"),
        (Geometry(640, 640, (0.2, 0.2)), "1 image at least three times as large or as small as is usual for DX"),
        (Geometry(20, 120, (0.2, 0.2)), "1 image more than five times as long as wide"),
    ],
)
def test_what_is_odd_is_named(cohort: Cohort, geometry: Geometry, words: str) -> None:
    odd = with_geometry(cohort, geometry)
    found = {str(problem): problem for problem in oddities(odd)}
    assert words in found
    assert found[words].names == (odd.samples[0].name,)


def test_where_no_image_has_a_spacing_that_is_not_odd(cohort: Cohort) -> None:
    assert oddities(with_geometry(cohort, Geometry(64, 64), of=12)) == []


def test_few_images_have_no_usual_size(cohort: Cohort) -> None:
    few = Cohort(cohort.pixels[:5], cohort.samples[:5], cohort.labels, "")
    assert oddities(with_geometry(few, Geometry(640, 640, (0.2, 0.2)))) == []
    assert oddities(Cohort(cohort.pixels[:0], (), cohort.labels, "")) == []


def test_an_image_that_shows_nothing_is_named(cohort: Cohort) -> None:
    pixels = cohort.pixels.copy()
    pixels[3] = np.float16(0.5)
    assert [str(problem) for problem in oddities(replace(cohort, pixels=pixels))] == ["1 image of one grey value"]
