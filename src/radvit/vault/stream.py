"""The two encrypted forms: version 2, a stream for objects of any size; version 1, a record for small ones.

Version 2, all numbers big-endian:

    magic           8 bytes    "RADVIT", 0, 2
    nonce prefix    7 bytes    random
    wrapped key    40 bytes    the file's own random AES-256 key under the key-encryption key (RFC 3394)
    chunks                     AES-256-GCM of 1 MiB each, the last one 0 to 1 MiB; a 16-byte tag follows each

A chunk's nonce is prefix | 4-byte counter | 1-byte last flag: the STREAM construction of Hoang, Reyhanitabar, Rogaway
and Vizar, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (CRYPTO 2015). Each chunk's
associated data is magic | prefix | context. The wrapped key stands outside of it as it carries its own check value,
and so a file moves to a new key-encryption key by 40 bytes alone.

Version 1:

    magic           8 bytes    "RADVIT", 0, 1
    derivation      1 byte     0: a key; 1: a passphrase by PBKDF2-HMAC-SHA256
    iterations      4 bytes    0 for a key
    salt           16 bytes    zeros for a key
    token                      Fernet (AES-128-CBC and HMAC-SHA256)
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator
from itertools import count
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from radvit.errors import VaultError
from radvit.vault.keys import ITERATIONS, KEY_BYTES, SALT_BYTES, stretch

MAGIC = b"RADVIT\0\2"
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
HEADER = struct.Struct(">8s7s40s")
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


def encrypt(source: Readable, target: Writable, kek: bytes, context: bytes = b"") -> None:
    """Encrypt a stream of any length into form version 2, in the memory of two chunks.

    kek: key-encryption key, 32 bytes. context: what the object is; decrypt opens it with the same bytes only.
    """
    key, prefix = AESGCM.generate_key(8 * KEY_BYTES), os.urandom(7)
    target.write(HEADER.pack(MAGIC, prefix, aes_key_wrap(_checked(kek), key)))
    cipher, bound = AESGCM(key), MAGIC + prefix + context
    for counter, last, chunk in _chunks(source, CHUNK_BYTES):
        target.write(cipher.encrypt(nonce(prefix, counter, last), chunk, bound))


def decrypt(source: Readable, target: Writable, kek: bytes, context: bytes = b"") -> None:
    """Decrypt form version 2; a chunk reaches `target` only once its tag has been verified.

    Raises VaultError on a wrong key or context, and where the object was cut, extended, reordered or changed. Chunks
    ahead of the fault have left by then: who needs all or nothing keeps them aside until this returns.
    """
    header = _read(source, HEADER.size)
    if header[: len(MAGIC)] != MAGIC or len(header) != HEADER.size:
        raise VaultError("not an encrypted object of form version 2, or cut off in its header")
    _, prefix, wrapped = HEADER.unpack(header)
    try:
        cipher = AESGCM(aes_key_unwrap(_checked(kek), wrapped))
    except InvalidUnwrap:
        raise VaultError("wrong key for this object, or its header was changed") from None
    bound = MAGIC + prefix + context
    for counter, last, chunk in _chunks(source, CHUNK_BYTES + TAG_BYTES):
        target.write(_opened(cipher, nonce(prefix, counter, last), chunk, bound, counter))


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
    if record[: len(RECORD_MAGIC)] != RECORD_MAGIC or len(record) < RECORD_HEADER.size:
        raise VaultError("not an encrypted record of form version 1, or cut off in its header")
    _, kind, iterations, salt = RECORD_HEADER.unpack(record[: RECORD_HEADER.size])
    if kind != (BY_PASSPHRASE if isinstance(secret, str) else BY_KEY):
        raise VaultError("record was encrypted by a passphrase and a key was given, or the other way about")
    if not isinstance(secret, str) and (iterations or any(salt)):
        raise VaultError("header of the record was changed")
    key = stretch(secret, salt, iterations) if isinstance(secret, str) else _checked(secret)
    try:
        return _fernet(key).decrypt(record[RECORD_HEADER.size :])
    except InvalidToken:
        raise VaultError("wrong key for this record, or it was changed") from None


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
