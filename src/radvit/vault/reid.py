"""The way back from a pseudonym to a person: a file of its own, under a key of its own, that exists only if asked for.

One SQLite file. `meta` holds how the root key is made, and a record that tells a wrong key; `people` holds a row a
pseudonym: its HMAC-SHA256, and a record of form version 1 with the pseudonym and what is known of the person. Without
the key it shows how many people there are, and roughly how much is known of each.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from radvit import forms
from radvit.errors import VaultError
from radvit.vault.catalogue import SECONDS_TO_WAIT
from radvit.vault.derivation import HKDF_SHA256, Derivation, root_of_key, subkey
from radvit.vault.files import PART, alone, part, sweep, told
from radvit.vault.keys import KeyProvider
from radvit.vault.stream import decrypt_record, encrypt_record, rotate_record

VERSION = 1
ENVIRONMENT = "RADVIT_MAP_KEY"
DEFAULT_PATH = Path(".radvit/map.key")
VALUES_BETWEEN = "\\"  # several values of one attribute, as DICOM writes them (PS3.5 6.4)

_SCHEMA = """
CREATE TABLE meta (version INTEGER NOT NULL, derivation TEXT NOT NULL, told BLOB NOT NULL);
CREATE TABLE people (pseudonym BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
"""
_CHECK = b"radvit re-identification map"
_PADDED = 256  # a record's plaintext is a multiple of so many bytes, so that its length tells little


class ReidentificationMap:
    """An open map. Every method is one transaction, safe across processes, and raises VaultError alone."""

    def __init__(self, path: Path, root: bytes, check: bytes) -> None:
        self.path = path
        self._check = check
        self._naming, self._record = _subkeys(root)

    @classmethod
    def open(cls, path: Path, provider: KeyProvider, apart_from: tuple[bytes, ...] = ()) -> ReidentificationMap:
        """Open the map at `path`, or make it, with mode 0600, where there is none.

        apart_from: keys of 32 bytes, such as the pseudonyms' and the vault's, that must not be this one's.
        Raises VaultError where the key is one of them, or not the map's.
        """
        if _is_absent(path):
            derivation = provider.fresh()
            _make(path, derivation, _root_apart(provider, derivation, apart_from))
        with _connected(path) as connection:
            derivation, check = _meta(connection, path)
        root = _root_apart(provider, derivation, apart_from)
        try:
            decrypt_record(check, _subkeys(root)[1])
        except VaultError:
            raise VaultError(f"re-identification map {path}: the key is not this map's") from None
        return cls(path, root, check)

    def add(self, pseudonym: str, identity: Mapping[str, str]) -> None:
        r"""Add what is known of a person; adding it again changes nothing.

        An attribute that has another value already keeps both, as `A\B`, so that two people who share a pseudonym
        are both found.
        """
        name = self._name(pseudonym)
        known = self.find(pseudonym)
        if known is not None and _merged(known, identity) == known:
            return
        with _connected(self.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._check_unrotated(connection)
            merged = _merged(self._found(connection, pseudonym) or {}, identity)
            record = encrypt_record(_plain(pseudonym, merged), self._record)
            connection.execute("INSERT OR REPLACE INTO people VALUES (?, ?)", (name, record))
            connection.execute("COMMIT")

    def find(self, pseudonym: str) -> dict[str, str] | None:
        """What is known of a person, or None. Whoever calls this writes to the audit log first."""
        self._name(pseudonym)
        with _connected(self.path) as connection:
            connection.execute("BEGIN")
            self._check_unrotated(connection)
            return self._found(connection, pseudonym)

    def rotate(self, provider: KeyProvider, apart_from: tuple[bytes, ...] = ()) -> int:
        """Give the map another key, in one transaction; returns the number of people. This object goes on with it.

        apart_from: as for `open`.
        """
        derivation = provider.fresh()
        root = _root_apart(provider, derivation, apart_from)
        naming, record_key = _subkeys(root)
        with _connected(self.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._check_unrotated(connection)
            moved = [
                (_hmac(naming, self._opened(name, record)[0]), rotate_record(record, record_key, self._record))
                for name, record in connection.execute("SELECT pseudonym, record FROM people")
            ]
            connection.execute("DELETE FROM people")
            connection.executemany("INSERT INTO people VALUES (?, ?)", moved)
            connection.execute("DELETE FROM meta")
            self._check = _insert_meta(connection, derivation, record_key)
            connection.execute("COMMIT")
            self._naming, self._record = naming, record_key
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still holds what the old key opens
        return len(moved)

    def _check_unrotated(self, connection: sqlite3.Connection) -> None:
        if _meta(connection, self.path)[1] != self._check:
            raise VaultError(f"re-identification map {self.path}: its key was changed meanwhile; open it again")

    def _name(self, pseudonym: str) -> bytes:
        if not forms.PATIENT.match(pseudonym) and not forms.UID.match(pseudonym):
            words = "expected `P-` and 16 letters, or `2.25.` and digits, as `radvit deid` writes them"
            raise VaultError(f"pseudonym of {len(pseudonym)} characters; {words}")
        return _hmac(self._naming, pseudonym)

    def _found(self, connection: sqlite3.Connection, pseudonym: str) -> dict[str, str] | None:
        name = _hmac(self._naming, pseudonym)
        row = connection.execute("SELECT record FROM people WHERE pseudonym = ?", (name,)).fetchone()
        return self._opened(name, row[0])[1] if row else None

    def _opened(self, name: bytes, record: bytes) -> tuple[str, dict[str, str]]:
        """The pseudonym and the identity; VaultError where the record isn't this row's own."""
        pseudonym, identity = json.loads(decrypt_record(record, self._record))
        if not hmac.compare_digest(_hmac(self._naming, pseudonym), name):
            raise VaultError(f"re-identification map {self.path}: a record stands in another's place")
        return pseudonym, identity


def _merged(known: Mapping[str, str], identity: Mapping[str, str]) -> dict[str, str]:
    merged = {}
    for name in sorted(known.keys() | identity.keys()):
        told = (known.get(name, ""), identity.get(name, ""))
        values = {value for text in told for value in text.split(VALUES_BETWEEN) if value}
        merged[name] = VALUES_BETWEEN.join(sorted(values))
    return merged


def _plain(pseudonym: str, identity: Mapping[str, str]) -> bytes:
    text = json.dumps([pseudonym, identity]).encode()
    return text.ljust(-(-len(text) // _PADDED) * _PADDED)


def _root_apart(provider: KeyProvider, derivation: Derivation, apart_from: tuple[bytes, ...]) -> bytes:
    root = provider.root(derivation)
    if derivation.name == HKDF_SHA256 and any(root_of_key(key, derivation) == root for key in apart_from):
        raise VaultError("the map's key is in use for pseudonyms or for a vault; expected a key of the map's own")
    return root


def _subkeys(root: bytes) -> tuple[bytes, bytes]:
    return subkey(root, "map name"), subkey(root, "map record")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _is_absent(path: Path) -> bool:
    return not path.exists() or (path.is_file() and not path.stat().st_size)


def _make(path: Path, derivation: Derivation, root: bytes) -> None:
    """Make a map whole and durable, unless another process does: one at a time.

    Its write-ahead mode is set before it has its name, because SQLite changes the mode without waiting for others.
    """
    with told(f"re-identification map {path}"), alone(path.parent):
        if not _is_absent(path):
            return
        sweep(path.parent.glob(f"{path.name}.*{PART}"))
        with part(path) as unfinished:
            with _connected(unfinished.unfinished) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN;{_SCHEMA}")
                _insert_meta(connection, derivation, _subkeys(root)[1])
                connection.execute("COMMIT")
            unfinished.settle()
            unfinished.file.close()  # now, for closing any descriptor of a file undoes SQLite's locks on it
            unfinished.place()


def _insert_meta(connection: sqlite3.Connection, derivation: Derivation, record_key: bytes) -> bytes:
    check = encrypt_record(_CHECK, record_key)
    connection.execute("INSERT INTO meta VALUES (?, ?, ?)", (VERSION, json.dumps(derivation.to_dict()), check))
    return check


def _meta(connection: sqlite3.Connection, path: Path) -> tuple[Derivation, bytes]:
    try:
        version, derivation, check = connection.execute("SELECT version, derivation, told FROM meta").fetchone()
        if version != VERSION:
            raise VaultError(f"re-identification map {path} is of version {version}; expected {VERSION}")
        return Derivation.from_dict(json.loads(derivation)), bytes(check)
    except (TypeError, ValueError, RecursionError):
        raise VaultError(f"re-identification map {path} is malformed") from None


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        address = f"{path.resolve().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=SECONDS_TO_WAIT, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # what is replaced is overwritten, not only let go
            yield connection
    except sqlite3.Error as error:
        raise VaultError(f"re-identification map {path}: {error}") from None
