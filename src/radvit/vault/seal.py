"""Keyed hashes: of a plaintext, which is the object's id, and of an encrypted file, which is its seal."""

from __future__ import annotations

import hashlib
import hmac
import struct

from radvit.vault.catalogue import Entry
from radvit.vault.stream import CHUNK_BYTES, Header, Readable, Writable


class Digest:
    """HMAC-SHA256 and the length of what is written to it."""

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, digestmod=hashlib.sha256)
        self.size = 0

    def write(self, data: bytes, /) -> None:
        """Take a piece."""
        self._mac.update(data)
        self.size += len(data)

    def of(self, source: Readable) -> Digest:
        """Take all that is left in a file; returns this."""
        while piece := source.read(CHUNK_BYTES):
            self.write(piece)
        return self

    def digest(self) -> bytes:
        """32 bytes."""
        return self._mac.digest()

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._mac.hexdigest()


class ReadThrough:
    """Reads a file and digests what went by."""

    def __init__(self, source: Readable, digest: Digest) -> None:
        self._source, self.digest = source, digest

    def read(self, size: int, /) -> bytes:
        """As the file does."""
        data = self._source.read(size)
        self.digest.write(data)
        return data


class WriteThrough:
    """Writes a file and digests what went by."""

    def __init__(self, target: Writable, digest: Digest) -> None:
        self._target, self.digest = target, digest

    def write(self, data: bytes, /) -> None:
        """As the file does."""
        self._target.write(data)
        self.digest.write(data)


def new_seal(sealing: bytes, entry: Entry, header: Header, key: bytes) -> Digest:
    """The seal of an object, to which the encrypted chunks are still to be written.

    It covers the object's row, its own key and all of its file but the wrapped key, so that a rotation leaves it as it
    is. sealing: the vault's key for this. key: the object's own.
    """
    seal = Digest(sealing)
    seal.write(struct.pack(">Q", len(entry.context)) + entry.context + key + header.bound)
    return seal
