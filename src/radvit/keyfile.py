"""Secret keys in files: 64 hexadecimal digits that the owner alone may read, made whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from radvit.errors import RadvitError

KEY_BYTES = 32

_HEX = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}\Z")
_MOST_READ = 1024  # bytes
_LONGEST_BARE_NAME = 31  # characters


def parse_key(text: str) -> bytes | None:
    """The key, 32 bytes, that 64 hexadecimal digits stand for, or None; spaces around them don't count."""
    return bytes.fromhex(text) if _HEX.match(text.strip()) else None


def key_or_path(variable: str, fault: type[RadvitError]) -> bytes | Path | None:
    """What an environment variable says: a key, 32 bytes, or the path of its file; None where it isn't set.

    Raises `fault` where it looks like a key with a fault, so that no secret becomes a file's name or part of a message.
    """
    text = os.environ.get(variable, "").strip()
    key = parse_key(text)
    if key is None and len(text) > _LONGEST_BARE_NAME and not re.search(r"[/.]", text):
        words = f"expected {2 * KEY_BYTES} hexadecimal digits, or a path"
        raise fault(f"key {variable} has {len(text)} characters; {words}")
    return key or (Path(text) if text else None)


def read_key(path: Path, fault: type[RadvitError]) -> bytes:
    """Read a key, 32 bytes. Raises `fault` where the file is absent, malformed, or open to others."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:  # of the file that is open, not of what stands there later
                raise fault(f"key file {path} can be read by others; run: chmod 600 {path}")
            text = file.read(_MOST_READ).decode("ascii", "replace")
    except OSError as error:
        told = "there is none" if isinstance(error, FileNotFoundError) else _told(error)
        raise fault(f"key file {path}: {told}; expected a file that its owner can read") from None
    key = parse_key(text)
    if key is None:
        found = len(text.strip())
        raise fault(f"key file {path} has {found} characters; expected {2 * KEY_BYTES} hexadecimal digits")
    return key


def create_key(path: Path, fault: type[RadvitError]) -> bool:
    """Write a new key with mode 0600, unless there is a file; of two processes that try, one wins.

    Returns whether this call made it. Raises `fault` where the folder can't be written.
    """
    try:
        if path.exists():
            return False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _write(path)
    except OSError as error:
        raise fault(f"key file {path}: {_told(error)}; expected a folder that can be written") from None


def _write(path: Path) -> bool:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # fails where the file exists by now, so that no key is ever overwritten
        sync_folder(path.parent)  # what the key locks may be durable in a moment
    except FileExistsError:
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def sync_folder(folder: Path) -> None:
    """Make a folder's new names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(error: OSError) -> str:
    return f"{type(error).__name__}: {error.strerror}"
