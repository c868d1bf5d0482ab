import hashlib
import hmac
import pickle
import re
from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DeidError

KEYS = st.binary(min_size=32, max_size=32)
# Identifiers as they stand in files: no control characters, and no spaces at the ends (they don't count).
IDS = st.text(st.characters(exclude_categories=("C", "Z"), codec="utf-8"), max_size=64)


def hkdf(key: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, 32 bytes, written out."""
    secret = hmac.new(b"\0" * 32, key, hashlib.sha256).digest()
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()


def test_known_answer_by_the_definitions():
    key = bytes(range(32))
    digest = hmac.new(hkdf(key, b"radvit patient"), b"ID-7", hashlib.sha256).digest()
    assert Pseudonymizer(key).patient("ID-7") == "P-" + b32encode(digest[:10]).decode()
    digest = hmac.new(hkdf(key, b"radvit uid"), b"1.2.3", hashlib.sha256).digest()
    assert Pseudonymizer(key).uid("1.2.3") == "2.25." + str(int.from_bytes(digest[:16], "big"))


def test_projects_can_not_be_linked_and_none_is_as_before():
    key = bytes(range(32))
    first, second, none = Pseudonymizer(key, "lung"), Pseudonymizer(key, "knee"), Pseudonymizer(key)
    assert none == Pseudonymizer(key, "")
    assert len({names.patient("ID-7") for names in (first, second, none)}) == 3
    assert len({names.uid("1.2.3") for names in (first, second, none)}) == 3
    assert len({names.fingerprint for names in (first, second, none)}) == 3
    digest = hmac.new(hkdf(key, b"radvit patient\nlung"), b"ID-7", hashlib.sha256).digest()
    assert first.patient("ID-7") == "P-" + b32encode(digest[:10]).decode()


@given(KEYS, IDS)
def test_forms_and_ranges(key, text):
    names = Pseudonymizer(key)
    assert re.fullmatch(r"P-[A-Z2-7]{16}", names.patient(text))
    assert re.fullmatch(r"2\.25\.(0|[1-9]\d{0,38})", names.uid(text))
    assert len(names.uid(text)) <= 64
    assert 1 <= names.offset_days(text) <= 3650
    assert re.fullmatch(r"[0-9a-f]{12}", names.fingerprint)


@given(KEYS, IDS)
def test_same_key_same_names_in_every_instance_and_after_pickling(key, text):
    one, two = Pseudonymizer(key), pickle.loads(pickle.dumps(Pseudonymizer(key)))  # noqa: S301
    assert (one.patient(text), one.uid(text), one.offset_days(text)) == (
        two.patient(text),
        two.uid(text),
        two.offset_days(text),
    )
    assert one == two
    assert hash(one) == hash(two)


@given(KEYS, KEYS, IDS)
def test_another_key_gives_other_names(a, b, text):
    if a != b:
        assert Pseudonymizer(a).patient(text) != Pseudonymizer(b).patient(text)
        assert Pseudonymizer(a).uid(text) != Pseudonymizer(b).uid(text)
        assert Pseudonymizer(a).fingerprint != Pseudonymizer(b).fingerprint


@given(IDS, IDS)
def test_different_patients_differ(a, b):
    names = Pseudonymizer(b"k" * 32)
    assert (names.patient(a) == names.patient(b)) == (names.patient(a + " ") == names.patient(" " + b))
    if a.isascii() and b.isascii() and a != b:
        assert names.patient(a) != names.patient(b)
        assert names.uid(a) != names.uid(b)


def test_spaces_and_unicode_forms_are_one_patient():
    names = Pseudonymizer(b"k" * 32)
    assert names.patient(" ID 7 ") == names.patient("ID 7")
    assert names.patient("é") == names.patient("e\u0301")


def test_the_key_shows_nowhere():
    key = b"0123456789abcdef0123456789abcdef"
    names = Pseudonymizer(key)
    assert key.decode() not in repr(names)
    assert key not in pickle.dumps(names)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(DeidError, match=f"of {size} bytes; expected 32"):
        Pseudonymizer(b"k" * size)
