import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import DataElement, config
from pydicom.valuerep import VR, validate_value

from radvit.deid.values import dummy, legal_time, limit_age, shift_date, shift_date_time


@given(st.dates(datetime.date(1900, 1, 1)), st.integers(1, 3650))
def test_shift_date_inverts(date, days):
    moved = shift_date(f"{date:%Y%m%d}", days)
    assert datetime.date.fromisoformat(moved) + datetime.timedelta(days) == date


@pytest.mark.parametrize("date", ["", "2020", "20201301", "2020-01-01", "ZWOLLE", "00010101", "２０２００１０１"])
def test_what_is_no_date_becomes_empty(date):
    assert shift_date(date, 400) == ""


@given(
    st.datetimes(datetime.datetime(1900, 1, 1)), st.integers(1, 3650), st.sampled_from(["", ".25", "+0100", ".5-0930"])
)
def test_shift_date_time_moves_the_day_and_nothing_else(moment, days, rest):
    text = f"{moment:%Y%m%d%H%M%S}{rest}"
    moved = shift_date_time(text, days)
    assert moved[8:] == text[8:]
    assert moved[:8] == f"{moment - datetime.timedelta(days):%Y%m%d}".zfill(8)


@pytest.mark.parametrize("moment", ["", "2020", "202001", "Jane", "20201340", "20200101T101010"])
def test_what_is_no_date_time_becomes_empty(moment):
    assert shift_date_time(moment, 3) == ""


@pytest.mark.parametrize(
    ("time", "kept"),
    [("101112", True), ("10", True), ("1011", True), ("101112.123456", True), ("235960", True), ("246000", False),
     ("10:11", False), ("Jane", False), ("", False), ("1", False), ("１０１１", False)],
)  # fmt: skip
def test_times_of_day(time, kept):
    assert legal_time(time) == (time if kept else "")


@pytest.mark.parametrize(
    ("age", "kept"),
    [("063Y", "063Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("103Y", "090Y"), ("014M", "014M"), ("003D", "003D"),
     ("63Y", None), ("ZWOL", None), ("", None)],
)  # fmt: skip
def test_ages(age, kept):
    assert limit_age(age) == kept


@pytest.mark.parametrize(
    "vr", ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UT"]
)
def test_dummies_are_legal(vr):
    validate_value(VR(vr), dummy(vr), config.RAISE)
    assert DataElement(0x00100010, vr, dummy(vr)).value != ""
