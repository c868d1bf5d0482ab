"""Where the audit log and its key are."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from radvit.audit.head import head_path
from radvit.audit.log import AuditLog
from radvit.errors import AuditError
from radvit.keyfile import create_key, key_or_path, read_key

LOG_ENVIRONMENT, KEY_ENVIRONMENT = "RADVIT_AUDIT_LOG", "RADVIT_AUDIT_KEY"
DEFAULT_PATH = Path(".radvit/audit.jsonl")

_log = logging.getLogger(__name__)


def default_log(path: Path | None = None, key: Path | None = None) -> AuditLog:
    """The log at `path`; None: the environment's RADVIT_AUDIT_LOG, else `.radvit/audit.jsonl`.

    key: a file of 64 hexadecimal digits. None: the environment's RADVIT_AUDIT_KEY, which holds the digits themselves or
    a path, else the file beside the log whose name ends in `.key`. A new log's key file is made where it is missing.
    Raises AuditError where the key is missing, malformed or open to others.
    """
    path = path or Path(os.environ.get(LOG_ENVIRONMENT) or DEFAULT_PATH)
    told = key or key_or_path(KEY_ENVIRONMENT, AuditError)
    if isinstance(told, bytes):
        return AuditLog(path, told)
    key = told or path.parent / f"{path.stem}.key"
    if key == path:
        raise AuditError(f"audit log and key are both {path}; expected two files")
    if not (path.exists() or head_path(path).exists()) and create_key(key, AuditError):
        _log.info("made a new audit key at %s; keep a copy elsewhere, as without it no log can be verified", key)
    return AuditLog(path, read_key(key, AuditError))


def known_log(path: Path | None = None, key: Path | None = None) -> AuditLog:
    """The same, but nothing is made: AuditError where there is no log."""
    path = path or Path(os.environ.get(LOG_ENVIRONMENT) or DEFAULT_PATH)
    if not (path.is_file() or head_path(path).is_file()):
        raise AuditError(f"no audit log at {path}")
    return default_log(path, key)
