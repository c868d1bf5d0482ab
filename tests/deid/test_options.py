import pytest
from pydicom.datadict import tag_for_keyword

from radvit.deid import options
from radvit.deid.options import DEFAULT, Option, parse_options
from radvit.deid.tables import actions
from radvit.errors import ConfigError

COLUMNS = [name for name in dir(options) if isinstance(getattr(options, name), frozenset) and name != "DEFAULT"]


def test_what_an_option_changes_stands_in_the_table():
    assert len(COLUMNS) >= 9
    for name in COLUMNS:
        for keyword in getattr(options, name):
            assert int(tag_for_keyword(keyword)) in actions(), (name, keyword)


def test_codes_are_those_of_cid_7050():
    assert {option.code for option in Option} == {f"1131{n:02}" for n in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)}


def test_options_are_added_and_removed_by_name():
    assert parse_options([]) == DEFAULT
    assert parse_options(["clean-descriptors"], ["clean_pixels"]) == DEFAULT - {Option.CLEAN_PIXELS} | {
        Option.CLEAN_DESCRIPTORS
    }
    dates = parse_options(["full-dates"])
    assert Option.FULL_DATES in dates
    assert Option.MODIFIED_DATES not in dates


def test_what_is_no_option_or_a_contradiction_is_refused():
    with pytest.raises(ConfigError, match=r"option 'dates' of de-identification; expected one of clean-pixels, "):
        parse_options(["dates"])
    with pytest.raises(ConfigError, match="exclude each other"):
        parse_options(["full-dates", "modified-dates"])
