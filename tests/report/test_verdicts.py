import pytest

from radvit.errors import ConfigError, GeometryError
from radvit.records import SpacingPlane
from radvit.report.verdicts import Criteria, Size, Verdict


def size(before, now):
    return Size(before, now, SpacingPlane.PATIENT)


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (10, 15, Verdict.GROWN),  # both bounds count
        (10, 14.9, Verdict.STABLE),
        (30, 35.9, Verdict.STABLE),  # 5.9 mm, but below 20 %
        (30, 36, Verdict.GROWN),
        (10, 12.5, Verdict.STABLE),  # 25 %, but below 5 mm
        (30, 24, Verdict.SHRUNK),
        (20, 15.1, Verdict.STABLE),
        (12, 12, Verdict.STABLE),
    ],
)
def test_a_change_needs_millimetres_and_per_cent(before, now, verdict):
    assert Criteria().verdict(size(before, now)) is verdict


def test_bounds_are_settings():
    assert Criteria(2, 0).verdict(size(10, 12)) is Verdict.GROWN
    assert Criteria(0, 50).verdict(size(10, 14)) is Verdict.STABLE


def test_differences():
    assert (size(8, 6).change_mm, size(8, 6).change_percent) == (-2, -25)


@pytest.mark.parametrize("values", [(-1, 20, 0.1), (5, -1, 0.1), (5, 20, 0)])
def test_criteria_check_themselves(values):
    with pytest.raises(ConfigError, match="expected at least 0 mm and 0 %, and more than 0"):
        Criteria(*values)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_sizes_check_themselves(sizes):
    with pytest.raises(GeometryError, match="expected two numbers above 0"):
        size(*sizes)
