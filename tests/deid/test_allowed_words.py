import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvit.deid.allowed_words import ALLOWED, LABELS, UNITS, is_allowed


@pytest.mark.parametrize(
    "text",
    ["L", "R", "r", "LT", "Left", "AP", "PA", "Semi-Upright", "PORTABLE", "Portable AP", "AP/LAT", "L-MLO", "CHEST PA",
     "SUPINE,AP", "P0RTABLE", "5UPINE", "SUP1NE", "120 kV", "120kV", "2.5 mAs", "2,5 mAs", "kV: 120", "SID 180 cm",
     "5 cm", "10 mm", "7.5 MHz", "30 fps", "(L)", "[R]", "左", "立位", "后前位 立位", "床旁"],
)  # fmt: skip
def test_words_of_the_image_stay(text):
    assert is_allowed(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "M", "F", "[M]", "12", "4711", "2.5", "1976", "01.09.2012", "06/16/1976", "14:22", "120", "L-1",
     "L 4711", "PORTABLE 4711", "PORTABLE DOE", "DOE", "HAND", "LONG", "CHIN", "MA", "12 MA", "45 M", "63 Y",
     "1976 cm", "1200 kV", "KVP 1976", "12 L", "PORTABL", "PORTABLES", "PORTABEL", "LEE", "L3E", "A P", "0", "8P",
     "RI", "王", "左立", "张伟 左", "12.3.4 cm", "5 cm 7", "12 34 cm", "PORTABLEAP", "cm²", "Ł", "Ｌ"],
)  # fmt: skip
def test_all_else_goes(text):
    assert not is_allowed(text)


@pytest.mark.parametrize("word", sorted(ALLOWED))
def test_every_listed_word_stays_in_any_case_unless_it_is_the_patients(word):
    assert is_allowed(word)
    assert is_allowed(word.lower())
    assert is_allowed(f"{word} L")
    assert not is_allowed(word, frozenset((word,)))
    assert not is_allowed(f"AP, {word.lower()}", frozenset((word,)))
    assert not is_allowed(f"{word} ROE")


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_a_unit_needs_a_number_and_a_number_a_unit(unit):
    assert is_allowed(f"12 {unit}")
    assert is_allowed(f"1.5{unit}")
    assert is_allowed(unit) == (unit in ALLOWED)
    assert not is_allowed(f"1976 {unit}")
    assert is_allowed(f"{unit} 12") == (unit in LABELS)


def test_a_forbidden_word_does_not_hide_behind_digits():
    assert is_allowed("P0RTABLE")
    assert not is_allowed("P0RTABLE", frozenset(("PORTABLE",)))


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0158", min_size=1, max_size=9))
def test_a_word_stays_only_if_it_is_listed_once_its_digits_are_letters(word):
    letters = word.translate(str.maketrans("0158", "OISB"))
    tied = any(word.endswith(unit) for unit in UNITS)
    assert tied or not is_allowed(word) or letters in ALLOWED


@given(st.lists(st.sampled_from(sorted(ALLOWED)), min_size=1, max_size=4), st.integers(10, 10**9))
def test_a_number_takes_any_line_with_it_unless_a_unit_follows(words, number):
    line = " ".join(words)
    before = words[-1] in LABELS and number < 1000
    assert is_allowed(line)
    assert is_allowed(f"{line} {number}") == before
