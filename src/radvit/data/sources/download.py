"""Getting a published file to its place, or saying in one line where it is and where it belongs."""

from __future__ import annotations

import logging
import shutil
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from radvit.errors import DataError


@dataclass(frozen=True, slots=True)
class Remote:
    """A published file. md5: checked once it is there, None where none is published.

    account: whether it can be had only by signing in, so that a person has to. suffix: of an archive.
    """

    url: str
    md5: str | None = None
    account: bool = False
    suffix: str = ""


def fetch(remote: Remote, place: Path, download: bool) -> None:
    """Make sure that a file lies in its place; one that is there already is left as it is.

    download: whether it may be downloaded. Raises DataError, with URL and place, where it can't be or mayn't.
    """
    if place.exists():
        return
    if not download or remote.account:
        raise DataError(f"{place}: no such file; {_advice(remote, place)}")
    _download(remote, place)


def fetch_archive(remote: Remote, folder: Path, download: bool) -> None:
    """Make sure that a folder is there, unpacked from its archive, which may lie beside it. Raises DataError."""
    if folder.exists():
        return
    archive = folder.with_name(folder.name + remote.suffix)
    if not archive.exists() and (not download or remote.account):
        raise DataError(f"{folder}: no such folder; {_advice(remote, archive)}")
    _download(remote, archive)  # checks one that is there
    _unpack(archive, folder)


def require(remote: Remote, place: Path) -> None:
    """Raise DataError, with its URL, where what only a person can get is not there."""
    if not place.exists():
        raise DataError(f"{place}: nothing there; {_advice(remote, place)}")


def _advice(remote: Remote, place: Path) -> str:
    if remote.account:
        return f"get it from {remote.url} (needs an account) and put it there"
    return f"expected data.download=true, or {remote.url} as {place}"


def _download(remote: Remote, place: Path) -> None:
    from monai.apps.utils import download_url  # seconds, which only those pay who download

    logging.getLogger("monai.apps").setLevel(logging.CRITICAL)  # what it would say stands in the error below
    try:
        download_url(remote.url, place, hash_val=remote.md5, hash_type="md5")
    except (OSError, RuntimeError, ValueError) as error:  # MONAI's HashCheckError is a RuntimeError
        why = "its MD5 is another than the published one" if "hash check" in str(error) else _first_line(error)
        raise DataError(f"{place}: can't be downloaded: {why}; expected {remote.url} there") from error
    if not place.exists():  # MONAI says nothing of a place that can't be written
        raise DataError(f"{place}: can't be written; expected {remote.url} there")


def _unpack(archive: Path, folder: Path) -> None:
    """Into a folder beside it first, so that a half unpacked one never counts."""
    from monai.apps.utils import extractall

    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        extractall(archive, partial, has_base=False)
        inside = partial / folder.name
        (inside if inside.is_dir() else partial).rename(folder)
        folder.chmod(0o755)  # mkdtemp makes a folder for its owner alone
    except (OSError, ValueError, RuntimeError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        if folder.is_dir():  # another process was first
            return
        raise DataError(f"{archive}: can't be unpacked ({_first_line(error)}); delete it to get it again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
