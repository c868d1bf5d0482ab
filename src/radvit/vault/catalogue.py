"""What a vault holds, object by object, in SQLite: pseudonyms only."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from radvit.errors import VaultError

VERSION = 1
SECONDS_TO_WAIT = 30.0  # for another process's transaction

_SCHEMA = """
CREATE TABLE objects (
    id TEXT PRIMARY KEY, size INTEGER NOT NULL, kind TEXT NOT NULL, patient TEXT NOT NULL,
    study TEXT NOT NULL, modality TEXT NOT NULL, date TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_patient ON objects (patient, study);
"""
_ID = re.compile(r"[0-9a-f]{64}\Z")
_FORMS = {
    "kind": (re.compile(r"[a-z][a-z0-9-]{0,31}\Z"), "a word of small letters"),
    "patient": (re.compile(r"(P-[A-Z2-7]{16})?\Z"), "a pseudonym, `P-` and 16 letters, as `radvit deid` writes it"),
    "study": (re.compile(r"(2\.25\.[0-9]{1,39})?\Z"), "a pseudonym, `2.25.` and digits, as `radvit deid` writes it"),
    "modality": (re.compile(r"([A-Z][A-Z0-9]{0,15})?\Z"), "a code such as CR or DX (PS3.3 C.7.3.1.1.1)"),
    "date": (re.compile(r"([0-9]{8})?\Z"), "8 digits, YYYYMMDD, shifted as `radvit deid` writes it"),
}


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of an object; empty where it isn't.

    Raises VaultError where a value isn't in the form of a pseudonym or a code, so that no name or original identifier
    gets into the catalogue, which is not encrypted. The message never repeats the value.
    """

    kind: str
    patient: str = ""
    study: str = ""
    modality: str = ""
    date: str = ""

    def __post_init__(self) -> None:
        for name, (form, words) in _FORMS.items():
            value = getattr(self, name)
            if not form.match(value):
                raise VaultError(f"{name}: a value of {len(value)} characters; expected {words}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the catalogue. id: 64 hexadecimal digits. size: bytes of the plaintext."""

    id: str
    size: int
    details: Details

    def __post_init__(self) -> None:
        if not _ID.match(self.id):
            raise VaultError("object id is malformed; expected 64 hexadecimal digits")

    @property
    def context(self) -> bytes:
        """The row as bytes that the object's encryption is bound to."""
        return json.dumps([self.id, self.size, *astuple(self.details)]).encode()


class Catalogue:
    """The catalogue at `path`. Every operation is one connection and one transaction, safe across processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make an empty one in write-ahead mode, which the file then keeps; its owner alone may read it."""
        self.path.touch(mode=0o600)
        with self._connected("rwc") as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")

    @contextmanager
    def adding(self, entry: Entry) -> Iterator[None]:
        """Add a row, unless it is there; what runs inside is part of the transaction, and one writer runs at a time.

        Raises VaultError, before anything runs inside, where the object is there under other details.
        """
        row = (entry.id, entry.size, *astuple(entry.details))
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")  # closing without COMMIT rolls back
            connection.execute("INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            if connection.execute("SELECT * FROM objects WHERE id = ?", (entry.id,)).fetchone() != row:
                raise VaultError(f"object {entry.id} is in the vault under other details")
            yield
            connection.execute("COMMIT")

    def find(self, object_id: str) -> Entry | None:
        """The row of an object."""
        with self._connected() as connection:
            row = connection.execute("SELECT * FROM objects WHERE id = ?", (object_id,)).fetchone()
        return _entry(row) if row else None

    def rows(self, filters: dict[str, str]) -> tuple[Entry, ...]:
        """The rows whose named columns hold these values, in the order of patient, date, study and id."""
        unknown = filters.keys() - _FORMS.keys()
        if unknown:
            raise VaultError(f"no such column: {', '.join(sorted(unknown))}; expected {', '.join(_FORMS)}")
        where = " AND ".join(f"{name} = ?" for name in filters) or "1"  # names are _FORMS' own
        query = f"SELECT * FROM objects WHERE {where} ORDER BY patient, date, study, id"
        with self._connected() as connection:
            return tuple(_entry(row) for row in connection.execute(query, tuple(filters.values())))

    def check(self) -> None:
        """VaultError where SQLite finds the file damaged."""
        with self._connected() as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise VaultError(f"catalogue {self.path} is damaged: {str(found).splitlines()[0]}")

    @contextmanager
    def _connected(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        try:
            address = f"{self.path.resolve().as_uri()}?mode={mode}"
            with closing(
                sqlite3.connect(address, uri=True, timeout=SECONDS_TO_WAIT, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = FULL")  # a committed put survives a power cut
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version != VERSION and mode == "rw":
                    raise VaultError(f"catalogue {self.path} is of version {version}; expected {VERSION}")
                yield connection
        except sqlite3.Error as error:
            raise VaultError(f"catalogue {self.path}: {error}") from None


def _entry(row: tuple[str, int, str, str, str, str, str]) -> Entry:
    object_id, size, *details = row
    return Entry(str(object_id), size, Details(*map(str, details)))  # a forged row may hold other types
