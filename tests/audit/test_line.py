import re
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvit.audit.line import MOST_CHARACTERS, MOST_LINE_BYTES, Seal, composed, placed, read_line, subkey
from radvit.errors import AuditError

SEAL = Seal(b"k" * 32, "line", "hash")
PATIENT = "P-ABCDEFGHIJKLMNOP"
plain = st.text(st.characters(exclude_categories=("C", "Z")), max_size=MOST_CHARACTERS)
scalars = st.none() | st.booleans() | st.integers(-(1 << 63) + 1, (1 << 63) - 1) | plain
scalars |= st.floats(allow_nan=False, allow_infinity=False)
values = scalars | st.lists(scalars, max_size=4) | st.dictionaries(plain, st.lists(scalars, max_size=3), max_size=3)
fields = st.dictionaries(st.from_regex(r"f_[a-z0-9]{1,8}", fullmatch=True), values, max_size=4)


@given(fields, st.integers(1, 10**9))
def test_what_goes_in_comes_out(told, n):
    middle = composed("2024-01-31T00:00:00.000+00:00", "jo", "deid.file", told)
    data, mac = placed(middle, n, "0" * 64, SEAL)
    assert data.count(b"\n") == 1
    assert data.isascii()
    line = read_line(data[:-1], SEAL)
    assert (line.n, line.previous, line.hash) == (n, "0" * 64, mac)
    own = {"n": n, "time": "2024-01-31T00:00:00.000+00:00", "user": "jo", "event": "deid.file", "previous": "0" * 64}
    assert line.record == own | told


@given(st.binary(max_size=200))
def test_bytes_that_were_never_sealed_are_no_line(data):
    assert read_line(data, SEAL) is None


@pytest.mark.parametrize("name", ["n", "time", "user", "event", "previous", "hash"])
def test_the_logs_own_fields_are_refused(name):
    with pytest.raises(AuditError, match=f"field {name} is the log's own"):
        composed("", "", "a.b", {name: 1})


@pytest.mark.parametrize("name", ["", "Patient", "a b", "1a", "a" * 41, "é", "a\n", 3])
def test_malformed_names_are_refused_and_not_repeated(name):
    with pytest.raises(AuditError, match="a field's name is malformed"):
        composed("", "", "a.b", {name: 1})


@pytest.mark.parametrize("event", ["", "Deid", "deid file", "deid.", ".file", "a.b.c.d.e", "deid.file\n"])
def test_malformed_events_are_refused(event):
    with pytest.raises(AuditError, match=f"event of {len(event)} characters"):
        composed("", "", event, {})


@pytest.mark.parametrize(
    "value",
    [
        *("a\nb", "a\x00b", "\x1b[31m", "\u202eabc", "\u2028", "\ud800", "x" * (MOST_CHARACTERS + 1)),
        *(float("nan"), float("inf"), 1 << 63, -(1 << 63)),
        *(b"ab", {1, 2}, object(), MappingProxyType({}), np.int64(3), {"a": {1: 2}}, {"a\n": 1}, {1: 2}),
        *([[[[[1]]]]], {"a": ["x", "secret\tvalue"]}),
    ],
)
def test_what_is_no_json_or_no_short_plain_text_is_refused(value):
    with pytest.raises(AuditError, match="expected"):
        composed("", "", "a.b", {"value": value})


def test_a_list_within_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(AuditError, match="levels"):
        composed("", "", "a.b", {"value": endless})


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("patient", [PATIENT, [PATIENT, PATIENT]]),
        ("study", ["2.25.0", "2.25.340282366920938463463374607431768211455"]),
        ("series", ["2.25.7"]),
        ("image", ["2.25.7"]),
        ("pseudonym", [PATIENT, "2.25.7"]),
    ],
)
def test_pseudonyms_are_taken_in_their_form_alone(name, good):
    for value in good:
        composed("", "", "a.b", {name: value})
        composed("", "", "a.b", {"within": {name: value}})
    for value in ("", "Doe^Jane", PATIENT.lower(), PATIENT + "\n", PATIENT + "A", "1.2.3", "2.25.", "2.25.01", 7, None):
        for fields in ({name: value}, {"within": {name: value}}, {"within": [{name: [value]}]}):
            with pytest.raises(AuditError, match=f"field {name}: expected a pseudonym") as refused:
                composed("", "", "a.b", fields)
            assert "Doe" not in str(refused.value)


def test_a_long_value_is_never_quoted():
    with pytest.raises(AuditError, match=r"field note: expected .* text of at most 200 characters") as refused:
        composed("", "", "a.b", {"note": "Jane Doe " * 40})
    assert "Jane" not in str(refused.value)
    with pytest.raises(AuditError, match=r"a field: expected") as refused:
        composed("", "", "a.b", {"note": {"Jane Doe": "\n"}})
    assert "Jane" not in str(refused.value)


def test_an_endless_line_is_refused():
    middle = composed("", "", "a.b", {"tags": ["00100010"] * (MOST_LINE_BYTES // 10)})
    with pytest.raises(AuditError, match=rf"a line of \d+ bytes; expected less than {MOST_LINE_BYTES}"):
        placed(middle, 1, "0" * 64, SEAL)


def test_each_purpose_and_each_key_has_a_seal_of_its_own():
    seals = [Seal(key, purpose, "hash") for key in (b"k" * 32, b"l" * 32) for purpose in ("line", "head")]
    assert len({seal.closed("{}")[1] for seal in seals}) == 4
    for short in (b"", b"k" * 31, b"k" * 33):
        with pytest.raises(AuditError, match=re.escape(f"audit key of {len(short)} bytes; expected 32")):
            subkey(short, "line")
