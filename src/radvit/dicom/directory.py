"""Which files to read: those below a folder, or those that a DICOMDIR refers to (PS3.10 8, PS3.3 F)."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from radvit.dicom.limits import DEFAULT, Limits
from radvit.dicom.parse import only_read_errors, read_attributes
from radvit.errors import DicomReadError
from radvit.pool import Died, guarded

_log = logging.getLogger(__name__)

_NAME = "DICOMDIR"  # PS3.10 8.6; variants of it, such as DICOMDIR.bak, occur
_START_BYTES = 512  # holds the beginning of the file meta group, where the class of the file stands
_PREFIX = slice(128, 132)
# (0002,0002) Media Storage SOP Class UID, as the file meta group writes it: explicit little endian (PS3.10 7.1).
_CLASS = b"\2\0\2\0UI" + len(MediaStorageDirectoryStorage).to_bytes(2, "little") + MediaStorageDirectoryStorage.encode()
# File ID components are of A-Z, 0-9 and _, at most 8 characters each (PS3.10 8.2, 8.5). Writers that keep longer names,
# lower case and endings are common; no component may begin with a dot, so that none leads upwards.
_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .-]{0,63}\Z")
_MOST_COMPONENTS = 8  # PS3.3 F.3.2.2
_INACTIVE = 0x0000  # Record In-use Flag, PS3.3 F.3.2.2


@dataclass(frozen=True, slots=True)
class Directory:
    """What a DICOMDIR refers to. files: those that are there, in its order, each once. missing: how many are not.

    A reference that leads out of the DICOMDIR's folder, or that is no path, counts as missing.
    """

    files: tuple[Path, ...]
    missing: int


def find_files(path: Path, limits: Limits = DEFAULT) -> list[Path]:
    """Every regular file below a folder that isn't hidden, sorted by relative path; a file alone gives itself.

    A DICOMDIR (of any name, told by its content) gives the files that it refers to, in its order; within a folder it
    is left out. Links to folders are not followed.
    Raises DicomReadError (`not-a-file`) where there is nothing, or for a DICOMDIR that can't be read.
    """
    if path.is_file():
        return _referenced(path, limits) if is_directory_file(path) else [path]
    if not path.is_dir():
        raise DicomReadError("not-a-file", "no file or folder at the given path")
    found: list[Path] = []
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if not name.startswith(".")]
        found.extend(Path(folder) / name for name in files if not name.startswith("."))
    kept = (file for file in found if file.is_file() and not _is_named_directory_file(file))
    return sorted(kept, key=lambda file: file.relative_to(path).as_posix())


def is_directory_file(path: Path) -> bool:
    """Whether a file's first bytes say that it is a DICOMDIR."""
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except OSError:
        return False
    return start[_PREFIX] == b"DICM" and _CLASS in start


def read_directory(path: Path, limits: Limits = DEFAULT) -> Directory:
    """The files that a DICOMDIR refers to. Raises DicomReadError, and nothing else; its message quotes no file."""
    with only_read_errors():
        records = read_attributes(path, ("DirectoryRecordSequence",), limits).get("DirectoryRecordSequence")
        if records is None:
            raise DicomReadError("bad-header", "no directory records; expected a DICOMDIR")
        references = [_components(record) for record in records if _refers(record)]
        tree = _Tree(path.parent)
        found = [tree.find(components) for components in references]
    files = tuple(dict.fromkeys(file for file in found if file is not None))
    return Directory(files, sum(file is None for file in found))


def _referenced(path: Path, limits: Limits) -> list[Path]:
    directory = guarded(partial(_outcome, limits=limits), path)
    if isinstance(directory, Died):
        raise directory.error()
    if isinstance(directory, DicomReadError):
        raise directory
    if directory.missing and not directory.files:
        raise DicomReadError("not-a-file", f"none of the {directory.missing} files of the DICOMDIR is there")
    if directory.missing:
        _log.warning("%d files that the DICOMDIR refers to are not there", directory.missing)
    return list(directory.files)


def _outcome(path: Path, limits: Limits) -> Directory | DicomReadError:
    """What reading gives, in a worker process: an error as a value, so that it arrives without its traceback."""
    try:
        return read_directory(path, limits)
    except DicomReadError as error:
        return error


def _is_named_directory_file(path: Path) -> bool:
    return path.name.upper().startswith(_NAME) and is_directory_file(path)


def _refers(record: Dataset) -> bool:
    return bool(record.get("ReferencedFileID")) and record.get("RecordInUseFlag") != _INACTIVE


def _components(record: Dataset) -> tuple[str, ...]:
    """The components of a record's path, none where it is not one."""
    value = record.ReferencedFileID
    components = (value,) if isinstance(value, str) else tuple(str(part) for part in value)
    valid = len(components) <= _MOST_COMPONENTS and all(_COMPONENT.match(part) for part in components)
    return components if valid else ()


@dataclass(frozen=True, slots=True)
class _Tree:
    """The folder of a DICOMDIR. names: of each folder looked into, by lower case, as a disc's case can differ."""

    root: Path
    names: dict[Path, dict[str, str]] = field(default_factory=dict)

    def find(self, components: tuple[str, ...]) -> Path | None:
        """The file at a path of components, where it is there and within the root."""
        path = self.root
        for component in components:
            name = self._names(path).get(component.lower())
            if name is None:
                return None
            path /= component if (path / component).exists() else name
        inside = path.resolve().is_relative_to(self.root.resolve())
        return path if inside and path.is_file() else None

    def _names(self, folder: Path) -> dict[str, str]:
        if folder not in self.names:
            names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
            self.names[folder] = {name.lower(): name for name in names}
        return self.names[folder]
