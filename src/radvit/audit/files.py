"""The file of an audit log: locked, read, and written at its end."""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from radvit.audit.head import Extent, head_path
from radvit.errors import AuditError


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The descriptor of a log's file, made with mode 0600 if missing, that this process alone may now write to.

    Raises AuditError where others may open the file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        opened = os.fstat(descriptor)
        if opened.st_mode & 0o077:
            raise AuditError(f"audit log {path} is open to others; run: chmod 600 {path}")
        if not os.path.samestat(opened, os.stat(path)):  # noqa: PTH116 - beside fstat
            raise AuditError(f"audit log {path} was replaced while it was opened; run again")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A log's file and its size, while nobody writes to it; an empty one where its head alone is left.

    Raises AuditError where there is neither, or an empty file that no head was ever made for.
    """
    if path.exists() and not path.is_file():
        raise AuditError(f"{path} is no file; expected an audit log")
    with path.open("rb") if path.exists() else io.BytesIO() as file:
        if path.exists():
            fcntl.flock(file, fcntl.LOCK_SH)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not size and not head_path(path).exists():
            raise AuditError(f"no audit log at {path}")
        yield file, size


def ends(descriptor: int, kept: Extent) -> bool:
    """Whether the last line that is kept stands where the head says that it ends."""
    end = f'{kept.hash}"}}\n'.encode()
    return not kept.lines or os.pread(descriptor, len(end), kept.bytes - len(end)) == end


def write_at(descriptor: int, data: bytes, place: int) -> None:
    """Write data from a byte on, end the file where it ends, and make it durable.

    In this order, what a crash left of another write never goes before what tells of it stands in its place.
    """
    left = memoryview(data)
    while left:
        left = left[os.pwrite(descriptor, left, place + len(data) - len(left)) :]
    os.ftruncate(descriptor, place + len(data))
    os.fsync(descriptor)
