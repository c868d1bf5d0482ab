"""The two encrypted forms: version 2, a stream for objects of any size; version 1, a record for small ones.

Version 2, all numbers big-endian:

    magic           8 bytes    "RADVIT", 0, 2
    nonce prefix    7 bytes    random
    wrapped key    40 bytes    the file's own random AES-256 key under a key-encryption key (RFC 3394)
    chunks                     AES-256-GCM of 1 MiB each, the last one 0 to 1 MiB; a 16-byte tag follows each

A chunk's nonce is prefix | 4-byte counter | 1-byte last flag: the STREAM construction of Hoang, Reyhanitabar, Rogaway
and Vizar, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (CRYPTO 2015). Each chunk's
associated data is magic | prefix | context, which authenticates the header with every chunk. The wrapped key stands
outside of it as it carries its own check value, and no chunk opens under another key; so a file moves to a new
key-encryption key by these 40 bytes alone.

Version 1:

    magic           8 bytes    "RADVIT", 0, 1
    derivation      1 byte     0: a key; 1: a passphrase by PBKDF2-HMAC-SHA256
    iterations      4 bytes    0 for a key
    salt           16 bytes    zeros for a key
    token                      Fernet (AES-128-CBC and HMAC-SHA256); a record moves to a new key by MultiFernet
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from radvit.errors import VaultError
from radvit.keyfile import KEY_BYTES
from radvit.vault.derivation import ITERATIONS, SALT_BYTES, stretch

MAGIC = b"RADVIT\0\2"
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
PREFIX_BYTES = 7
WRAPPED_AT = len(MAGIC) + PREFIX_BYTES  # bytes from the start of an object
HEADER = struct.Struct(f">8s{PREFIX_BYTES}s40s")
MOST_CHUNKS = 1 << 32

RECORD_MAGIC = b"RADVIT\0\1"
RECORD_HEADER = struct.Struct(f">8sBI{SALT_BYTES}s")
BY_KEY, BY_PASSPHRASE = 0, 1


class Writable(Protocol):
    """Takes bytes: a file, or whatever else stands at the end of a stream."""

    def write(self, data: bytes, /) -> object:
        """Take a piece."""
        ...


class Readable(Protocol):
    """Gives bytes: a file, or whatever else stands at the start of a stream."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Header:
    """What an object of form version 2 starts with. prefix: of its nonces, 7 bytes. wrapped: its own key, 40 bytes."""

    prefix: bytes
    wrapped: bytes

    @classmethod
    def fresh(cls, wrapped: bytes) -> Header:
        """With a new prefix."""
        return cls(os.urandom(PREFIX_BYTES), wrapped)

    @property
    def bound(self) -> bytes:
        """The part that every chunk is bound to."""
        return MAGIC + self.prefix

    def to_bytes(self) -> bytes:
        """As it stands in a file."""
        return HEADER.pack(MAGIC, self.prefix, self.wrapped)


def encrypt(source: Readable, target: Writable, kek: bytes, context: bytes = b"") -> None:
    """Encrypt a stream of any length into form version 2, in the memory of two chunks.

    kek: key-encryption key, 32 bytes. context: what the object is; decrypt opens it with the same bytes only.
    """
    key = AESGCM.generate_key(8 * KEY_BYTES)
    header = Header.fresh(wrap(key, kek))
    target.write(header.to_bytes())
    encrypt_body(source, target, header, key, context)


def encrypt_body(source: Readable, target: Writable, header: Header, key: bytes, context: bytes = b"") -> None:
    """Encrypt what follows a header. key: the object's own, never used for another one."""
    cipher, bound = AESGCM(_checked(key)), header.bound + context
    for counter, last, chunk in _chunks(source, CHUNK_BYTES):
        target.write(cipher.encrypt(nonce(header.prefix, counter, last), chunk, bound))


def decrypt(source: Readable, target: Writable, kek: bytes, context: bytes = b"") -> None:
    """Decrypt form version 2; a chunk reaches `target` only once its tag has been verified.

    Raises VaultError on a wrong key or context, and where the object was cut, extended, reordered or changed. Chunks
    ahead of the fault have left by then: who needs all or nothing keeps them aside until this returns.
    """
    header = read_header(source)
    key = unwrap(header.wrapped, (kek,))
    if key is None:
        raise VaultError("wrong key for this object, or its header was changed")
    decrypt_body(source, target, header, key, context)


def decrypt_body(source: Readable, target: Writable, header: Header, key: bytes, context: bytes = b"") -> None:
    """Decrypt what follows a header, as `decrypt` does."""
    cipher, bound = AESGCM(_checked(key)), header.bound + context
    for counter, last, chunk in _chunks(source, CHUNK_BYTES + TAG_BYTES):
        target.write(_opened(cipher, nonce(header.prefix, counter, last), chunk, bound, counter))


def read_header(source: Readable) -> Header:
    """The first 55 bytes of an object. Raises VaultError where they are none of form version 2."""
    header = _read(source, HEADER.size)
    if header[: len(MAGIC)] != MAGIC or len(header) != HEADER.size:
        raise VaultError("not an encrypted object of form version 2, or cut off in its header")
    _, prefix, wrapped = HEADER.unpack(header)
    return Header(prefix, wrapped)


def wrap(key: bytes, kek: bytes) -> bytes:
    """An object's key under a key-encryption key, 40 bytes (RFC 3394)."""
    return aes_key_wrap(_checked(kek), _checked(key))


def unwrap(wrapped: bytes, keks: Sequence[bytes]) -> bytes | None:
    """The object's key by the first key-encryption key that opens it, or None."""
    for kek in keks:
        try:
            return aes_key_unwrap(_checked(kek), wrapped)
        except InvalidUnwrap:
            continue
    return None


def nonce(prefix: bytes, counter: int, last: bool) -> bytes:
    """12 bytes, another for each chunk of a file; VaultError past the 2**32 chunks (4 PiB) that they can count."""
    if counter >= MOST_CHUNKS:
        raise VaultError(f"object of more than {MOST_CHUNKS} chunks; expected 4 PiB at most")
    return struct.pack(">7sI?", prefix, counter, last)


def encrypt_record(data: bytes, secret: bytes | str) -> bytes:
    """Encrypt a small record into form version 1.

    secret: bytes are a 32-byte key; a str is a passphrase, stretched with a new salt that the record's header keeps.
    """
    if isinstance(secret, str):
        kind, iterations, salt = BY_PASSPHRASE, ITERATIONS, os.urandom(SALT_BYTES)
        key = stretch(secret, salt, iterations)
    else:
        kind, iterations, salt, key = BY_KEY, 0, bytes(SALT_BYTES), _checked(secret)
    return RECORD_HEADER.pack(RECORD_MAGIC, kind, iterations, salt) + _fernet(key).encrypt(data)


def decrypt_record(record: bytes, secret: bytes | str) -> bytes:
    """Decrypt form version 1; `secret` as it was for encrypt_record. VaultError where it or the record is wrong."""
    token = _token(record, isinstance(secret, str))
    if isinstance(secret, str):
        _, _, iterations, salt = RECORD_HEADER.unpack(record[: RECORD_HEADER.size])
        secret = stretch(secret, salt, iterations)
    try:
        return _fernet(_checked(secret)).decrypt(token)
    except InvalidToken:
        raise VaultError("wrong key for this record, or it was changed") from None


def rotate_record(record: bytes, new: bytes, old: bytes) -> bytes:
    """The same record under a new key, the time of its making kept; either key may have written it."""
    token = _token(record, by_passphrase=False)
    try:
        return record[: RECORD_HEADER.size] + MultiFernet([_fernet(_checked(key)) for key in (new, old)]).rotate(token)
    except InvalidToken:
        raise VaultError("wrong key for this record, or it was changed") from None


def _token(record: bytes, by_passphrase: bool) -> bytes:
    if record[: len(RECORD_MAGIC)] != RECORD_MAGIC or len(record) < RECORD_HEADER.size:
        raise VaultError("not an encrypted record of form version 1, or cut off in its header")
    _, kind, iterations, salt = RECORD_HEADER.unpack(record[: RECORD_HEADER.size])
    if kind != (BY_PASSPHRASE if by_passphrase else BY_KEY):
        raise VaultError("record was encrypted by a passphrase and a key was given, or the other way about")
    if not by_passphrase and (iterations or any(salt)):
        raise VaultError("header of the record was changed")
    return record[RECORD_HEADER.size :]


def _chunks(source: Readable, size: int) -> Iterator[tuple[int, bool, bytes]]:
    """Yield (counter, last, bytes); one chunk is read ahead, to know the last. An empty source has one empty chunk."""
    chunk = _read(source, size)
    for counter in count():
        following = _read(source, size)
        yield counter, not following, chunk
        if not following:
            return
        chunk = following


def _read(source: Readable, size: int) -> bytes:
    """Exactly `size` bytes, fewer only at the end: a pipe may give less than asked for."""
    pieces, left = [], size
    while left and (piece := source.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _opened(cipher: AESGCM, number: bytes, chunk: bytes, bound: bytes, counter: int) -> bytes:
    try:
        return cipher.decrypt(number, chunk, bound)
    except InvalidTag:
        raise VaultError(
            f"chunk {counter} fails its check: the object was cut, reordered, swapped or changed"
        ) from None


def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise VaultError(f"key of {len(key)} bytes; expected {KEY_BYTES}")
    return key
