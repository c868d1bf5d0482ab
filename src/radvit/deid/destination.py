"""The folder that copies go to: of one key and one choice of settings, writable, and with nothing secret in it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from radvit.audit import Json
from radvit.deid.file_copy import sweep
from radvit.errors import ConfigError, DeidError

RECORD = ".radvit-deid.json"  # the settings, written before the first copy so that a killed run can go on


def claim(folder: Path, settings: Mapping[str, Json]) -> None:
    """Make a folder ready for copies by these settings; one that holds copies by the same settings is taken on.

    Raises DeidError where it holds anything else, so that copies of two kinds never mix, or can't be written.
    """
    told = json.dumps(settings, sort_keys=True) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_own(folder, told)
        sweep(folder)
        write_whole(folder / RECORD, told.encode())
        _try_writing(quarantine_list(folder))
    except OSError as error:
        raise DeidError(f"can't write {error.filename or folder}: {error.strerror}") from None


def quarantine_list(folder: Path) -> Path:
    """Where the operator's list of what wasn't written stands: beside the folder, as it holds names of files."""
    return folder.with_name(f"{folder.name}.quarantine.csv")


def check_outside(folder: Path, secret: Path, what: str) -> None:
    """ConfigError where a secret, or a link to it, lies inside of the folder, which is passed on."""
    for place in (secret.resolve(), secret.parent.resolve() / secret.name):
        if place.is_relative_to(folder.resolve()):
            raise ConfigError(f"{what} {secret} lies inside of the output; expected a place that isn't passed on")


def write_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file, whole or not at all, over what stands there. mode: its permissions, less the umask's."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _check_own(folder: Path, told: str) -> None:
    record = folder / RECORD
    if record.is_file():
        if record.read_bytes() != told.encode():
            raise DeidError(
                f"{folder} holds copies by another key, project or other options; expected the same as then, "
                "or another folder"
            )
    elif any(not path.name.startswith(f".{RECORD}.") for path in folder.iterdir()):  # but for parts of the record
        raise DeidError(f"{folder} holds files that aren't of `radvit deid`; expected a new or an empty folder")


def _try_writing(path: Path) -> None:
    """OSError where a file can't be written there; nothing is left, and what stands there stays."""
    if path.is_dir():
        raise IsADirectoryError(None, "is a folder; expected a place for the list of files in quarantine", str(path))
    probe = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    write_whole(probe, b"", 0o600)
    probe.unlink()
