import io
import struct

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.errors import VaultError
from radvit.vault import stream
from radvit.vault.stream import CHUNK_BYTES, HEADER, RECORD_HEADER, TAG_BYTES

KEK = bytes(range(32))
SEALED = CHUNK_BYTES + TAG_BYTES
PLAIN = b"".join(struct.pack(">I", number) for number in range((2 * CHUNK_BYTES + 400) // 4))  # no two chunks alike
# of the bytes b"a chest radiograph", written once by form version 2: the form may not change under stored objects
KEPT = bytes.fromhex(
    "52414456495400024c0228af44a710a7bd3c05e44fc68020c305c18b4796a2557ced0553e3fa271cb2d43e9d0e"
    "bc4997eb67860fe00d16f13ae1cfb335e8c215e55d0f4261218c93dadc16395c8989f1169f67fb791fdf1e2a"
)


def sealed(plain, kek=KEK, context=b""):
    target = io.BytesIO()
    stream.encrypt(io.BytesIO(plain), target, kek, context)
    return target.getvalue()


def opened(data, kek=KEK, context=b""):
    target = io.BytesIO()
    stream.decrypt(io.BytesIO(data), target, kek, context)
    return target.getvalue()


@pytest.fixture(scope="module")
def three():
    """An object of three chunks, the last one of 400 bytes."""
    return sealed(PLAIN)


def pieces(data):
    body = data[HEADER.size :]
    return data[: HEADER.size], [body[start : start + SEALED] for start in range(0, len(body), SEALED)]


def refused(data, match="fails its check", kek=KEK, context=b""):
    """The attack is told, and what left before is the start of the true plaintext."""
    target = io.BytesIO()
    with pytest.raises(VaultError, match=match):
        stream.decrypt(io.BytesIO(data), target, kek, context)
    released = target.getvalue()
    assert released == PLAIN[: len(released)]
    assert len(released) % CHUNK_BYTES == 0  # whole verified chunks, never the last
    return len(released) // CHUNK_BYTES


sizes = st.builds(
    lambda chunks, off: max(0, chunks * CHUNK_BYTES + off), st.integers(0, 3), st.integers(-17, 17)
) | st.integers(0, 4096)


@settings(max_examples=40, deadline=None)
@given(size=sizes, context=st.binary(max_size=8))
def test_round_trip_around_the_chunks_borders(size, context):
    plain = PLAIN[:size].ljust(size, b"x")
    data = sealed(plain, context=context)
    assert opened(data, context=context) == plain
    assert len(data) == HEADER.size + size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(PLAIN)])
def test_an_independent_reader_of_the_form_agrees(size):
    data = sealed(PLAIN[:size], context=b"id")
    assert data[:8] == b"RADVIT\0\2"
    prefix, cipher = data[8:15], AESGCM(aes_key_unwrap(KEK, data[15:55]))
    body, plain = data[55:], b""
    starts = range(0, len(body), 1048592)
    for number, start in enumerate(starts):
        nonce = prefix + number.to_bytes(4, "big") + (b"\1" if number == len(starts) - 1 else b"\0")
        plain += cipher.decrypt(nonce, body[start : start + 1048592], b"RADVIT\0\2" + prefix + b"id")
    assert plain == PLAIN[:size]


def test_reads_what_was_written_before():
    assert opened(KEPT) == b"a chest radiograph"


def test_no_two_encryptions_are_alike():
    first, second = sealed(b"same"), sealed(b"same")
    assert not set(zip(*[iter(first[8:])] * 7, strict=False)) & set(zip(*[iter(second[8:])] * 7, strict=False))


def test_a_pipe_that_gives_little_at_a_time():
    class Trickle(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 65_521))

    target = io.BytesIO()
    stream.encrypt(Trickle(PLAIN), target, KEK)
    plain = io.BytesIO()
    stream.decrypt(Trickle(target.getvalue()), plain, KEK)
    assert plain.getvalue() == PLAIN


def test_truncation_anywhere(three):
    header, chunks = pieces(three)
    assert refused(header) == 0
    assert refused(header + chunks[0]) == 0  # at a chunk's border: it isn't the last one
    assert refused(header + chunks[0] + chunks[1]) == 1
    assert refused(three[:-1]) == 2
    assert refused(three[: -len(chunks[2]) + 8]) == 2  # less than a tag is left
    assert refused(header + chunks[0][:100]) == 0
    for kept in (0, 7, 8, 30, HEADER.size - 1):
        assert refused(three[:kept], "cut off in its header") == 0


def test_extension(three):
    assert refused(three + b"\0") == 2
    assert refused(three + pieces(three)[1][0]) == 2


@pytest.mark.parametrize(
    ("order", "released"), [((1, 0, 2), 0), ((0, 0, 1, 2), 1), ((0, 2), 1), ((1, 2), 0), ((2,), 0), ((0, 1, 1, 2), 2)]
)
def test_chunks_swapped_repeated_or_dropped(three, order, released):
    header, chunks = pieces(three)
    assert refused(header + b"".join(chunks[place] for place in order)) == released


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_bit_flipped_of_a_small_object(data):
    whole = bytearray(sealed(PLAIN[:64]))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    assert refused(bytes(whole), "cut off|wrong key|fails its check") == 0


@pytest.mark.parametrize(("place", "released"), [(60, 0), (HEADER.size + SEALED + 5, 1), (-1, 2)])
def test_a_bit_flipped_in_each_chunk(three, place, released):
    changed = bytearray(three)
    changed[place] ^= 0x10
    assert refused(bytes(changed)) == released


def test_headers_swapped(three):
    other = sealed(b"another file of the same key")
    assert refused(other[: HEADER.size] + three[HEADER.size :]) == 0
    assert refused(three[:8] + other[8:15] + three[15:]) == 0  # the prefix alone
    assert refused(three[:15] + other[15:55] + three[55:]) == 0  # the wrapped key alone


def test_wrong_key_and_wrong_context(three):
    assert refused(three, "wrong key", kek=bytes(32)) == 0
    assert refused(three, context=b"another object") == 0
    with pytest.raises(VaultError, match="key of 16 bytes; expected 32"):
        opened(three, kek=bytes(16))
    with pytest.raises(VaultError, match="key of 31 bytes; expected 32"):
        sealed(b"", kek=bytes(31))


def test_a_record_or_a_plain_file_is_no_stream():
    assert refused(stream.encrypt_record(b"x", KEK), "form version 2") == 0
    assert refused(b"DICM" * 100, "form version 2") == 0


def test_nonces_are_all_different_and_end_with_the_counter():
    assert stream.nonce(b"abcdefg", 258, True) == b"abcdefg\0\0\1\2\1"
    assert stream.nonce(b"abcdefg", 2**32 - 1, False) == b"abcdefg\xff\xff\xff\xff\0"
    with pytest.raises(VaultError, match="4 PiB at most"):
        stream.nonce(b"abcdefg", 2**32, False)


@given(data=st.binary(max_size=200), key=st.binary(min_size=32, max_size=32))
def test_records_by_key(data, key):
    record = stream.encrypt_record(data, key)
    assert stream.decrypt_record(record, key) == data
    assert record[:29] == b"RADVIT\0\1" + bytes(21)


def test_records_by_passphrase_keep_their_derivation_in_the_header():
    first, second = (stream.encrypt_record(b"small", "correct horse") for _ in range(2))
    magic, kind, iterations, salt = RECORD_HEADER.unpack(first[: RECORD_HEADER.size])
    assert (magic, kind, iterations) == (b"RADVIT\0\1", 1, 600_000)
    assert salt != RECORD_HEADER.unpack(second[: RECORD_HEADER.size])[3]
    assert stream.decrypt_record(first, "correct horse") == b"small"
    with pytest.raises(VaultError, match="wrong key"):
        stream.decrypt_record(first, "correct horsf")


def test_a_record_is_a_fernet_token_of_the_stretched_passphrase():
    import base64
    import hashlib

    record = stream.encrypt_record(b"small", "correct horse")
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse", record[13:29], 600_000)
    assert Fernet(base64.urlsafe_b64encode(key)).decrypt(record[29:]) == b"small"


@pytest.mark.parametrize("iterations", [0, 1, 599_999, 10_000_001, 2**32 - 1])
def test_a_forged_count_of_iterations_is_refused_at_once(iterations):
    record = RECORD_HEADER.pack(b"RADVIT\0\1", 1, iterations, bytes(16)) + b"token"
    with pytest.raises(VaultError, match="iterations of PBKDF2; expected 600000"):
        stream.decrypt_record(record, "correct horse")


@given(data=st.data())
def test_any_bit_flipped_of_a_record(data):
    record = bytearray(stream.encrypt_record(b"small", KEK))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    try:
        assert stream.decrypt_record(bytes(record), KEK) == b"small"  # base 64's last character has idle bits
        assert bit >= 8 * (len(record) - 4)
    except VaultError:
        pass


def test_records_refuse_the_wrong_key_or_kind():
    record = stream.encrypt_record(b"small", KEK)
    with pytest.raises(VaultError, match="wrong key"):
        stream.decrypt_record(record, bytes(32))
    with pytest.raises(VaultError, match="the other way about"):
        stream.decrypt_record(record, "a passphrase")
    with pytest.raises(VaultError, match="form version 1"):
        stream.decrypt_record(record[:20], KEK)
    with pytest.raises(VaultError, match="passphrase is empty"):
        stream.encrypt_record(b"small", "")
