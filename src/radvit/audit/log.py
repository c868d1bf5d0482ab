"""The audit log: who did what to which pseudonym, in lines that can be added to and never changed unnoticed."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from radvit.audit.examine import Examined, Fault, Interrupted, examine, follow, left_open, opened, pieces
from radvit.audit.files import ends, locked, reading, write_at
from radvit.audit.head import (
    START,
    VERSION,
    Extent,
    Head,
    head_path,
    read_head,
    resting,
    stated_key,
    write_head,
)
from radvit.audit.line import Json, Seal, composed, is_plain, placed
from radvit.errors import AuditError, os_errors_as

BEGUN, RECOVERED = "audit.begun", "audit.recovered"  # the events that the log writes itself
LINES_AT_ONCE, SECONDS_AT_MOST = 256, 2.0  # that wait in a batch

_HASH = re.compile(r"[0-9a-fA-F]{64}\Z")


class AuditLog:
    """The log at `path`, with its head beside it, closed and opened with a key of 32 bytes.

    The files are made with the first entry. Safe for several processes and threads. Every method raises AuditError
    alone; a log that isn't as its last entry left it takes no further ones.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._lines, self._heads = Seal(key, "line", "hash"), Seal(key, "head", "mac")
        self.fingerprint = Seal(key, "fingerprint", "mac").closed("{}")[1][:12]

    def __repr__(self) -> str:
        return f"AuditLog({self.path}, {self.fingerprint})"

    def append(self, event: str, /, **fields: Json) -> Extent:
        """Write one line, durable when this returns; returns how far the log reaches then.

        event: dotted words such as `deid.file`. fields: JSON, of codes, counts and pseudonyms, never a patient's value;
        patient, study, series, image and pseudonym must have a pseudonym's form, and texts be short and printable.
        """
        return self._write([self._composed(event, fields)])

    def extend(self, entries: Iterable[tuple[str, Mapping[str, Json]]]) -> Extent:
        """Write a line for each (event, fields), all under one lock and durable when this returns.

        An entry that is refused refuses them all.
        """
        return self._write([self._composed(event, fields) for event, fields in entries])

    @contextmanager
    def batch(self, at_once: int = LINES_AT_ONCE) -> Iterator[Batch]:
        """For many entries one after the other: `at_once` of them, or those of two seconds, are written together."""
        batch = Batch(self, at_once)
        try:
            yield batch
        finally:
            batch.flush()

    def head(self) -> Extent:
        """How far the log reaches by its head; nothing else is checked. START where there is no log yet."""
        with os_errors_as(AuditError, f"audit log {self.path}"):
            head = self._read_head()
        return START if head is None else head.kept

    def verify(self, head: str | None = None) -> tuple[Fault, ...]:
        """The faults of the log, none where each line is as it was written.

        head: the hash of a line, kept elsewhere, that must be there. Raises AuditError where there is no log, or the
        key is not this log's.
        """
        return self.examine(head).faults

    def examine(self, head: str | None = None) -> Examined:
        """The same, with how far the log reaches and what a crash left."""
        if head is not None and not _HASH.match(head):
            raise AuditError(f"a head of {len(head)} characters; expected the 64 hexadecimal digits of a line's hash")
        with os_errors_as(AuditError, f"audit log {self.path}"), reading(self.path) as (file, size):
            kept = read_head(head_path(self.path), self._heads)
            found = examine(file, size, self._lines, kept, head and head.lower())
            if kept is None and found.reached == START:
                self._check_key()
        return found

    def records(self) -> Iterator[dict[str, Any]]:
        """What each line says whose seal holds, in the order of the file; `verify` says whether that is all.

        Nothing can be added until the last one is read.
        """
        with os_errors_as(AuditError, f"audit log {self.path}"), reading(self.path) as (file, _):
            for piece in pieces(file):
                line = opened(piece, self._lines)
                if line is not None:
                    yield line.record

    def _composed(self, event: str, fields: Mapping[str, Json]) -> str:
        return composed(datetime.now(UTC).isoformat(timespec="milliseconds"), os_user(), event, fields)

    def _write(self, entries: list[str]) -> Extent:
        if not entries:
            return self.head()
        with os_errors_as(AuditError, f"audit log {self.path}"), locked(self.path) as descriptor:
            size = os.fstat(descriptor).st_size
            start, left = self._standing(descriptor, size)
            data, reached = self._sealed([*self._own(start, left), *entries], start)
            untold = left.lines if left else 0  # so that a second crash, before the first is told, hides nothing
            self._write_head(Head(start, max(reached.lines, start.lines + untold), max(reached.bytes, size)))
            write_at(descriptor, data, start.bytes)
            self._write_head(resting(reached))
        return reached

    def _standing(self, descriptor: int, size: int) -> tuple[Extent, Interrupted | None]:
        """Where the next line goes, and what a crash left there. Raises AuditError where the log was changed."""
        head = self._read_head()
        if head is None and not size:
            return START, None
        if head is None or not head.kept.bytes <= size <= head.bytes or not ends(descriptor, head.kept):
            raise AuditError(
                f"audit log {self.path} isn't as it was left: nothing was added; run: radvit audit verify {self.path}"
            )
        if not head.is_pending:
            return head.kept, None
        os.fsync(descriptor)  # whole lines that a killed process left become kept ones
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(head.kept.bytes)
            *_, reached = (head.kept, *follow(file, self._lines, head.kept, head.lines))
        return reached, left_open(reached, head, size)

    def _own(self, start: Extent, left: Interrupted | None) -> list[str]:
        """The entries that the log itself makes before others."""
        own: list[tuple[str, Mapping[str, Json]]] = []
        if not start.lines:
            own.append((BEGUN, {"version": VERSION, "key": self.fingerprint, "log": secrets.token_hex(8)}))
        if left is not None:
            own.append((RECOVERED, {"bytes": left.bytes, "lines": left.lines}))
        return [self._composed(event, fields) for event, fields in own]

    def _sealed(self, entries: list[str], start: Extent) -> tuple[bytes, Extent]:
        """The lines of entries that follow on `start`, and how far they reach."""
        lines, previous = [], start.hash
        for n, entry in enumerate(entries, start.lines + 1):
            line, previous = placed(entry, n, previous, self._lines)
            lines.append(line)
        data = b"".join(lines)
        return data, Extent(start.lines + len(lines), start.bytes + len(data), previous)

    def _read_head(self) -> Head | None:
        path = head_path(self.path)
        head = read_head(path, self._heads)
        if head is None and path.exists():
            self._check_key()
            raise AuditError(f"{path} isn't as it was written; run: radvit audit verify {self.path}")
        return head

    def _write_head(self, head: Head) -> None:
        write_head(head_path(self.path), head, self._heads, self.fingerprint)

    def _check_key(self) -> None:
        """AuditError where the files state another key."""
        stated = stated_key(head_path(self.path)) or stated_key(self.path)
        if stated not in (None, self.fingerprint):
            raise AuditError(
                f"audit log {self.path} was written under key {stated}; the one given is {self.fingerprint}"
            )


class Batch:
    """Entries of `AuditLog.batch`, written together; what isn't written yet is lost with the process."""

    def __init__(self, log: AuditLog, at_once: int) -> None:
        self._log, self._at_once = log, at_once
        self._waiting: list[str] = []
        self._written = time.monotonic()

    def append(self, event: str, /, **fields: Json) -> None:
        """Add a line, as `AuditLog.append` does; refuses at once what that refuses."""
        self._waiting.append(self._log._composed(event, fields))
        if len(self._waiting) >= self._at_once or time.monotonic() - self._written > SECONDS_AT_MOST:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting, durably."""
        waiting, self._waiting = self._waiting, []
        self._log._write(waiting)
        self._written = time.monotonic()


def os_user() -> str:
    """The name of the OS user who runs this process, by its number and not by the environment, which anyone can set."""
    return _name(os.getuid())


@cache
def _name(uid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user without an entry
        return f"uid {uid}"
    return name if is_plain(name) else f"uid {uid}"
