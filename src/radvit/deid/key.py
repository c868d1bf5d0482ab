"""The secret key behind every pseudonym: where it is kept, and how it is made."""

from __future__ import annotations

import logging
from pathlib import Path

from radvit.errors import DeidError
from radvit.keyfile import KEY_BYTES as KEY_BYTES
from radvit.keyfile import create_key, key_or_path, read_key

ENVIRONMENT = "RADVIT_DEID_KEY"
DEFAULT_PATH = Path(".radvit/deid.key")

_log = logging.getLogger(__name__)


def read_or_create_key(path: Path | None = None) -> bytes:
    """Read the key, 32 bytes, or make a new one where the file is absent.

    path: a file of 64 hexadecimal digits. None: the environment's RADVIT_DEID_KEY, which holds the digits themselves
    or a path, else `.radvit/deid.key` below the working directory.
    Raises DeidError where the key is malformed or others on this machine may read it.
    """
    if path is None:
        told = key_or_path(ENVIRONMENT, DeidError)
        if isinstance(told, bytes):
            return told
        path = told or DEFAULT_PATH
    if create_key(path, DeidError):
        _log.info("made a new pseudonymisation key at %s; keep it, as the same key gives the same pseudonyms", path)
    return read_key(path, DeidError)
