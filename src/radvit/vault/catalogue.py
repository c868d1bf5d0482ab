"""What a vault holds, object by object, in SQLite: pseudonyms only."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from radvit import forms
from radvit.errors import VaultError

VERSION = 2
SECONDS_TO_WAIT = 30.0  # for another process's transaction

_SCHEMA = """
CREATE TABLE objects (
    id TEXT PRIMARY KEY, size INTEGER NOT NULL, kind TEXT NOT NULL, patient TEXT NOT NULL,
    study TEXT NOT NULL, modality TEXT NOT NULL, date TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_patient ON objects (patient, study);
"""
# Version 2. seal: a keyed hash of the encrypted file, NULL where none was made yet. generation: of the key-encryption
# key that the file's own key is wrapped by. wrapped: the next such wrapping, while a rotation is under way.
_STEP_2 = """
ALTER TABLE objects ADD COLUMN seal BLOB;
ALTER TABLE objects ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE objects ADD COLUMN wrapped BLOB;
CREATE INDEX by_study ON objects (study);
CREATE INDEX by_date ON objects (date);
"""
_COLUMNS = "id, size, kind, patient, study, modality, date"
_DAYS = {"since": "date >= ?", "until": "date <= ? AND date <> ''"}
_ID = re.compile(r"[0-9a-f]{64}\Z")
_IS_ID = "typeof(id) = 'text' AND length(id) = 64 AND id NOT GLOB '*[^0-9a-f]*'"
_FORMS = {
    "kind": (re.compile(r"[a-z][a-z0-9-]{0,31}\Z"), "a word of small letters"),
    "patient": (forms.PATIENT, forms.PATIENT_WORDS),
    "study": (forms.UID, forms.UID_WORDS),
    "modality": (re.compile(r"[A-Z][A-Z0-9]{0,15}\Z"), "a code such as CR or DX (PS3.3 C.7.3.1.1.1)"),
    "date": (re.compile(r"[0-9]{8}\Z"), "8 digits, YYYYMMDD, shifted as `radvit deid` writes it"),
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
            if not form.match(value) and (value or name == "kind"):
                raise VaultError(f"{name}: a value of {len(value)} characters; expected {words}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the catalogue. id: 64 hexadecimal digits. size: bytes of the plaintext."""

    id: str
    size: int
    details: Details

    def __post_init__(self) -> None:
        if not is_id(self.id):
            raise VaultError("object id is malformed; expected 64 hexadecimal digits")

    @property
    def context(self) -> bytes:
        """The row as bytes that the object's encryption is bound to."""
        return json.dumps([self.id, self.size, *astuple(self.details)]).encode()


@dataclass(frozen=True, slots=True)
class Stored:
    """How the file of an object is kept. seal: None where none was made. wrapped: None outside of a rotation."""

    seal: bytes | None
    generation: int
    wrapped: bytes | None


class Writer:
    """One writing transaction: all of it is done, or nothing, and no other one runs beside."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, entry: Entry) -> bool:
        """Add a row, unless it is there; returns whether it is new.

        Raises VaultError where the object is there under other details.
        """
        row = (entry.id, entry.size, *astuple(entry.details))
        done = self._connection.execute(f"INSERT OR IGNORE INTO objects ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM objects WHERE id = ?", (entry.id,)).fetchone()
        if found != row:
            raise VaultError(f"object {entry.id} is in the vault under other details")
        return done.rowcount > 0

    def stored(self, object_id: str) -> Stored | None:
        """How the file of an object is kept."""
        query = "SELECT seal, generation, wrapped FROM objects WHERE id = ?"
        row = self._connection.execute(query, (object_id,)).fetchone()
        return _stored(row) if row else None

    def store(self, object_id: str, stored: Stored) -> None:
        """Note how the file of an object is kept."""
        self._connection.execute(
            "UPDATE objects SET seal = ?, generation = ?, wrapped = ? WHERE id = ?",
            (stored.seal, stored.generation, stored.wrapped, object_id),
        )

    def seal(self, object_id: str, seal: bytes) -> None:
        """Note a seal where there is none."""
        self._connection.execute("UPDATE objects SET seal = ? WHERE id = ? AND seal IS NULL", (seal, object_id))

    def unseal(self, object_id: str) -> None:
        """Forget a seal."""
        self._connection.execute("UPDATE objects SET seal = NULL WHERE id = ?", (object_id,))

    def behind(
        self, generation: int, most: int = -1, after: str = "", unnoted: bool = False
    ) -> tuple[tuple[str, Stored], ...]:
        """Up to `most` objects of an earlier generation whose ids come after the one given, in the order of ids.

        unnoted: only those in whose rows no next wrapping stands.
        """
        which = f"generation < ? AND id > ? AND {_IS_ID}" + (" AND wrapped IS NULL" if unnoted else "")
        query = f"SELECT id, seal, generation, wrapped FROM objects WHERE {which} ORDER BY id LIMIT ?"
        rows = self._connection.execute(query, (generation, after, most))
        return tuple((str(object_id), _stored(kept)) for object_id, *kept in rows)


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
                connection.executescript(f"BEGIN;{_SCHEMA}{_STEP_2}PRAGMA user_version = {VERSION};COMMIT;")

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """A transaction that ends with the block; an exception in it undoes all of it."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")  # closing without COMMIT rolls back
            yield Writer(connection)
            connection.execute("COMMIT")

    def find(self, object_id: str) -> Entry | None:
        """The row of an object."""
        with self._connected() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM objects WHERE id = ?", (object_id,)).fetchone()
        return _entry(row) if row else None

    def stored(self, object_id: str) -> Stored | None:
        """How the file of an object is kept."""
        with self._connected() as connection:
            return Writer(connection).stored(object_id)

    def rows(self, filters: dict[str, str]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
        """The rows whose named columns hold these values, in the order of patient, date, study and id.

        Beside them the ids, which may be anything, of those rows among them that somebody has given a wrong form.
        `since` and `until` are the first and the last day, YYYYMMDD; either leaves out what has no date.
        """
        unknown = filters.keys() - _FORMS.keys() - _DAYS.keys()
        if unknown:
            names = ", ".join((*_FORMS, *_DAYS))
            raise VaultError(f"no such column: {', '.join(sorted(unknown))}; expected {names}")
        for name in filters.keys() & _DAYS.keys():
            if not is_day(filters[name]):
                raise VaultError(f"{name}: a value of {len(filters[name])} characters; expected a day as YYYYMMDD")
        where = " AND ".join(_DAYS.get(name, f"{name} = ?") for name in filters) or "1"  # names are _FORMS' own
        query = f"SELECT {_COLUMNS} FROM objects WHERE {where} ORDER BY patient, date, study, id"
        with self._connected() as connection:
            found = connection.execute(query, tuple(filters.values())).fetchall()
        read = [(str(row[0]), _entry_or_none(row)) for row in found]
        return (
            tuple(entry for _, entry in read if entry is not None),
            tuple(object_id for object_id, entry in read if entry is None),
        )

    def count_behind(self, generation: int) -> int:
        """How many objects are of an earlier generation."""
        with self._connected() as connection:
            query = f"SELECT COUNT(*) FROM objects WHERE generation < ? AND {_IS_ID}"
            return int(connection.execute(query, (generation,)).fetchone()[0])

    def count(self) -> int:
        """How many objects there are."""
        with self._connected() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM objects").fetchone()[0])

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
                connection.text_factory = _text
                connection.execute("PRAGMA synchronous = FULL")  # a committed put survives a power cut
                if mode == "rw":
                    self._migrate(connection)
                yield connection
        except sqlite3.Error as error:
            raise VaultError(f"catalogue {self.path}: {error}") from None

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring a catalogue of version 1 to today's, in one transaction; of two processes that try, one does it."""
        if _version(connection) == 1:
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) == 1:
                for statement in _STEP_2.split(";"):
                    connection.execute(statement)
                connection.execute("PRAGMA user_version = 2")
            connection.execute("COMMIT")
        version = _version(connection)
        if version != VERSION:
            raise VaultError(f"catalogue {self.path} is of version {version}; expected {VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def is_id(text: str) -> bool:
    """Whether a text has the form of an object's id."""
    return bool(_ID.match(text))


def is_day(text: str) -> bool:
    """Whether a text is a day of the calendar, YYYYMMDD."""
    try:
        return len(text) == len("YYYYMMDD") and bool(datetime.strptime(text, "%Y%m%d"))
    except ValueError:
        return False


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # a forged row may hold any bytes


def _stored(row: Sequence[Any]) -> Stored:
    seal, generation, wrapped = row
    return Stored(seal, generation, wrapped if isinstance(wrapped, bytes) else None)


def _entry_or_none(row: tuple[str, int, str, str, str, str, str]) -> Entry | None:
    try:
        return _entry(row)
    except VaultError:
        return None


def _entry(row: tuple[str, int, str, str, str, str, str]) -> Entry:
    object_id, size, *details = row
    if not isinstance(size, int):
        raise VaultError(f"object {object_id}: its row was changed")
    return Entry(str(object_id), size, Details(*map(str, details)))  # a forged row may hold other types
