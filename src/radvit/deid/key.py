"""The secret key behind every pseudonym: where it is kept, and how it is made."""

from __future__ import annotations

import logging
import os
import re
import secrets
from pathlib import Path

from radvit.errors import DeidError

KEY_BYTES = 32
ENVIRONMENT = "RADVIT_DEID_KEY"
DEFAULT_PATH = Path(".radvit/deid.key")

_HEX = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}\Z")
_log = logging.getLogger(__name__)


def read_or_create_key(path: Path | None = None) -> bytes:
    """Read the key, 32 bytes, or make a new one where the file is absent.

    path: a file of 64 hexadecimal digits. None: the environment's RADVIT_DEID_KEY, which holds the digits themselves
    or a path, else `.radvit/deid.key` below the working directory.
    Raises DeidError where the key is malformed or others on this machine may read it.
    """
    if path is None:
        told = os.environ.get(ENVIRONMENT, "")
        if _HEX.match(told):
            return bytes.fromhex(told)
        path = Path(told) if told else DEFAULT_PATH
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise DeidError(f"key file {path}: {type(error).__name__}; expected a file that its owner can read") from None


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise DeidError(f"key file {path} can be read by others; run: chmod 600 {path}")
    text = path.read_bytes().decode("ascii", "replace").strip()
    if not _HEX.match(text):
        raise DeidError(f"key file {path} has {len(text)} characters; expected {2 * KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(text)


def _create(path: Path) -> None:
    """Write a new key with mode 0600, whole or not at all; of two processes that try, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)  # fails where the file exists by now, so that no key is ever overwritten
        _log.info("made a new pseudonymisation key at %s; keep it, as the same key gives the same pseudonyms", path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
