from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from radvit.data.preprocess import Placement
from radvit.data.samples import Cohort, Sample
from radvit.errors import DataError
from radvit.records import Geometry, Header, Lesion, SpacingPlane

HEADER = Header("P-1", "2.25.1", "2.25.2", "2.25.33", "DX", "CHEST", patient_orientation=("L", "F"), frame=2)
SAMPLE = Sample(
    HEADER,
    Geometry(40, 30, (0.15, 0.2), SpacingPlane.DETECTOR, "ImagerPixelSpacing", (1.5, -2.0, 3.0), (1, 0, 0, 0, 1, 0)),
    Placement(0.5, 2.5, 0.0),
    (1.0, 0.0),
    (Lesion((2.0, 4.0, 10.0, 12.0), 0, 7.5, None),),
)


def test_a_sample_survives_json() -> None:
    assert Sample.from_dict(json.loads(json.dumps(SAMPLE.to_dict()))) == SAMPLE


def test_a_sample_without_a_place_survives_json() -> None:
    plain = replace(SAMPLE, geometry=Geometry(40, 30))
    assert Sample.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain


def test_boxes_are_in_model_pixels() -> None:
    np.testing.assert_array_equal(SAMPLE.boxes_px(), np.array([[3.5, 2, 7.5, 6]], np.float32))
    assert replace(SAMPLE, lesions=()).boxes_px().shape == (0, 4)


def test_later_frames_have_names_of_their_own() -> None:
    assert SAMPLE.name == "2.25.33#2"
    assert replace(SAMPLE, header=replace(HEADER, frame=0)).name == "2.25.33"


@pytest.mark.parametrize(
    "broken", [{}, {**SAMPLE.to_dict(), "header": {"name": "x"}}, {**SAMPLE.to_dict(), "targets": 1}]
)
def test_broken_records_are_refused(broken: dict[str, object]) -> None:
    with pytest.raises(DataError, match="sample's"):
        Sample.from_dict(broken)


def test_a_cohort_checks_its_shapes(make_cohort: Callable[..., Cohort]) -> None:
    cohort = make_cohort([0, 1])
    assert cohort.targets().tolist() == [[1], [0]]
    with pytest.raises(DataError, match=r"expected \(2, S, S\)"):
        replace(cohort, pixels=cohort.pixels[:1])
    with pytest.raises(DataError, match="1 targets; expected 2"):
        replace(cohort, labels=("nodule", "mass"))


def test_masks_are_as_large_as_the_pixels(make_cohort: Callable[..., Cohort]) -> None:
    cohort = make_cohort([0, 1])
    masks = np.zeros((2, 32, 32), np.uint8)
    assert replace(cohort, masks=masks).masks is masks
    for odd in (masks[:1], masks[:, 1:], masks.astype(bool)):
        with pytest.raises(DataError, match=r"masks of shape .*; expected uint8, \(2, 32, 32\)"):
            replace(cohort, masks=odd)


def test_an_empty_cohort_is_legal() -> None:
    assert Cohort(np.zeros((0, 8, 8), np.float16), (), ("a", "b"), "").targets().shape == (0, 2)
