"""Files that appear whole and durable, or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from radvit.errors import VaultError, os_errors_as
from radvit.keyfile import sync_folder

PART = ".part"


@dataclass(frozen=True, slots=True)
class Part:
    """A file on its way to `path`. file: open for writing, in the same folder under the name `unfinished`."""

    file: BinaryIO
    unfinished: Path
    path: Path

    def settle(self) -> None:
        """Make what was written durable."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def place(self) -> None:
        """Give a settled file its name, in place of what had it."""
        self.unfinished.replace(self.path)
        sync_folder(self.path.parent)


@contextmanager
def part(path: Path, mode: int = 0o600) -> Iterator[Part]:
    """A file that is gone after the block unless `place` was called."""
    unfinished, descriptor = _new_part(path, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield Part(file, unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _new_part(path: Path, mode: int) -> tuple[Path, int]:
    """A new file, locked as long as this process has it open, so that `sweep` knows whether its writer lives."""
    while True:
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return unfinished, descriptor
        os.close(descriptor)  # swept between its making and its locking


def sweep(unfinished: Iterable[Path]) -> int:
    """Remove the `.part` files among these whose writer is dead; returns how many. Those of living ones stay."""
    swept = 0
    for path in unfinished:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            swept += 1
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    return swept


@contextmanager
def placed(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file that stands at `path` after the block; where the block raises, nothing does."""
    with part(path, mode) as written:
        yield written.file
        written.settle()
        written.place()


@contextmanager
def alone(folder: Path, words: str = "") -> Iterator[None]:
    """Holds a folder's lock, which ends with the process, however it ends.

    Where another process holds it: waits, or raises VaultError of the words, if there are any.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if words else 0))
        yield
    except BlockingIOError:
        raise VaultError(words) from None
    finally:
        os.close(descriptor)


def told(what: str) -> AbstractContextManager[None]:
    """An operating system's error as a VaultError of one line, which begins with `what`."""
    return os_errors_as(VaultError, what)
