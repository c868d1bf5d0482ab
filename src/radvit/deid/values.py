"""Values that take an identifying one's place: shifted dates, capped ages, and dummies (PS3.15 E.3, action D)."""

from __future__ import annotations

import datetime
import re
from typing import Any

REMOVED = "REMOVED"
MOST_YEARS = 89

_AGE = re.compile(r"([0-9]{3})([DWMY])\Z")
_DATE = re.compile(r"[0-9]{8}\Z")
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9]|60)?)?(\.[0-9]{1,6})?\Z")
_DATE_TIME = re.compile(r"([0-9]{8})([0-9]{0,6}(\.[0-9]{1,6})?([+-][0-9]{4})?)\Z")
_YEARS = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}
_TEXTS = ("LO", "SH", "CS", "ST", "LT", "UT", "UC", "AE", "PN")
# Dummies of the kinds that aren't texts; a kind that stands in neither is left without a value.
_DUMMIES: dict[str, Any] = {
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "AS": "000Y",
    "IS": "0",
    "DS": "0",
    "UR": "about:blank",
    "OB": b"\0\0",
    "UN": b"\0\0",
}


def dummy(vr: str) -> Any:
    """A value that says nothing, legal for a value representation (PS3.5 6.2)."""
    return REMOVED if vr in _TEXTS else _DUMMIES.get(vr, 0 if vr in ("US", "SS", "UL", "SL", "FL", "FD") else "")


def repaired(text: str) -> str:
    """A text whose file said nothing, or Latin-1, of the UTF-8 that it is written in; any other as it stands."""
    try:
        return text if text.isascii() else text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def shift_date(date: str, days: int) -> str:
    """A DICOM date (YYYYMMDD) moved back by days; empty where it is no date or would leave the calendar."""
    if not re.fullmatch(_DATE, date) or not date.isascii():
        return ""
    try:
        moved = datetime.date(int(date[:4]), int(date[4:6]), int(date[6:])) - datetime.timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}".zfill(8)


def shift_date_time(moment: str, days: int) -> str:
    """A DICOM date-time moved back by whole days, time of day and zone as they were; empty where it is none."""
    match = _DATE_TIME.match(moment)
    date = shift_date(match[1], days) if match else ""
    return date and date + moment[8:]


def legal_time(time: str) -> str:
    """A DICOM time of day as it stands; empty where it is none (PS3.5 6.2)."""
    return time if time.isascii() and _TIME.match(time) else ""


def limit_age(age: str) -> str | None:
    """A DICOM age (such as `063Y`); from 90 years on `090Y`, as ages that rare can identify. None if malformed."""
    match = _AGE.match(age)
    if match is None:
        return None
    return f"{MOST_YEARS + 1:03d}Y" if int(match[1]) / _YEARS[match[2]] >= MOST_YEARS + 1 else age
