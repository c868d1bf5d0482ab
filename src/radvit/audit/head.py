"""The head of an audit log: a small sealed file beside it that says how far the log reaches.

A log that was cut still looks whole; its head tells. Before lines are written the head is replaced by one that also
says how far the write will reach, and afterwards by one that says how far the log reaches now. So whatever lies beyond
the head's reach without a write announced was put there by somebody else, and whatever is broken within an announced
write may be the work of a crash.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvit.audit.line import Seal
from radvit.errors import AuditError
from radvit.keyfile import sync_folder

VERSION = 1
_MOST_BYTES = 4096
_KEY = re.compile(rb'"key":"([0-9a-f]{12})"')


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a log reaches. lines, bytes: counts. hash: of the last line, 64 hexadecimal digits."""

    lines: int
    bytes: int
    hash: str


START = Extent(0, 0, "0" * 64)


@dataclass(frozen=True, slots=True)
class Head:
    """kept: what is on the disk for good. lines, bytes: how far an announced write may reach; kept's own where none."""

    kept: Extent
    lines: int
    bytes: int

    @property
    def is_pending(self) -> bool:
        """Whether a write was announced and not yet told to have ended."""
        return (self.lines, self.bytes) != (self.kept.lines, self.kept.bytes)


def resting(kept: Extent) -> Head:
    """The head of a log to which nothing is being written."""
    return Head(kept, kept.lines, kept.bytes)


def head_path(log: Path) -> Path:
    """Where the head of a log stands."""
    return log.parent / f"{log.name}.head"


def read_head(path: Path, seal: Seal) -> Head | None:
    """The head at `path`; None where there is none, or its seal doesn't hold."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    opened = seal.opened(text[:-1]) if text.endswith(b"\n") else None
    if opened is None:
        return None
    told: dict[str, Any] = json.loads(opened[0])
    if told["version"] != VERSION:
        raise AuditError(f"{path} is of version {told['version']}; expected {VERSION}")
    return Head(Extent(told["lines"], told["bytes"], told["hash"]), told["pending_lines"], told["pending_bytes"])


def write_head(path: Path, head: Head, seal: Seal, fingerprint: str) -> None:
    """Replace the head at `path`, whole and durable. For the holder of the log's lock alone."""
    told = {
        "version": VERSION,
        "key": fingerprint,
        "lines": head.kept.lines,
        "bytes": head.kept.bytes,
        "hash": head.kept.hash,
        "pending_lines": head.lines,
        "pending_bytes": head.bytes,
    }
    sealed, _ = seal.closed(json.dumps(told, separators=(",", ":")))
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(sealed + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def stated_key(path: Path) -> str | None:
    """The fingerprint that the beginning of a log or of its head states; not proven. None where there is none."""
    try:
        with path.open("rb") as file:
            found = _KEY.search(file.read(_MOST_BYTES).partition(b"\n")[0])
    except FileNotFoundError:
        return None
    return found[1].decode() if found else None
