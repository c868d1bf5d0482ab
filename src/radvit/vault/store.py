"""A folder of encrypted objects and their catalogue.

DIR/vault.json          how the root key is derived, and a record that tells a wrong key; no secret
DIR/catalogue.sqlite    what is held: ids, sizes, kinds, pseudonyms
DIR/objects/ab/ab12...  the objects, encrypted
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from radvit.errors import VaultError
from radvit.vault import stream
from radvit.vault.catalogue import Catalogue, Details, Entry
from radvit.vault.keys import KEY_BYTES, Derivation, KeyProvider

VERSION = 1
_CHECK = b"radvit vault"
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Fault:
    """What `Vault.verify` found. reason: `missing`, `damaged` (or its row was changed), or `unlisted`."""

    id: str
    reason: str


class Vault:
    """An encrypted store in `folder`, opened with a key.

    Raises VaultError where the folder is no vault, or the key is not its own. Every method raises VaultError alone.
    Objects can be put by many processes at once.
    """

    def __init__(self, folder: Path, provider: KeyProvider) -> None:
        self.folder = folder
        with _told(folder):
            derivation, check = _read_header(folder / "vault.json")
        root = provider.root(derivation)
        self._wrapping, self._naming, records = (_subkey(root, purpose) for purpose in ("wrap", "name", "record"))
        try:
            stream.decrypt_record(check, records)
        except VaultError:
            raise VaultError(f"vault {folder}: the key is not this vault's, or vault.json was changed") from None
        self.catalogue = Catalogue(folder / "catalogue.sqlite")

    @classmethod
    def init(cls, folder: Path, provider: KeyProvider) -> Vault:
        """Make a vault in a new or empty folder."""
        with _told(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise VaultError(f"{folder} is not empty; expected a new folder for the vault")
            derivation = provider.fresh()
            check = stream.encrypt_record(_CHECK, _subkey(provider.root(derivation), "record"))
            (folder / "objects").mkdir(mode=0o700)
            Catalogue(folder / "catalogue.sqlite").create()
            header = {"version": VERSION, "derivation": derivation.to_dict(), "check": base64.b64encode(check).decode()}
            with _placed(folder / "vault.json") as file:  # last, so that what is half made is no vault
                file.write(json.dumps(header, indent=2).encode() + b"\n")
        return cls(folder, provider)

    def put(
        self,
        source: Path | bytes,
        kind: str = "file",
        patient: str = "",
        study: str = "",
        modality: str = "",
        date: str = "",
    ) -> str:
        """Encrypt a file or bytes into the vault, and return the object's id: a keyed hash of the plaintext.

        patient, study, date: as de-identification writes them. Putting the same again changes nothing; under other
        details it raises VaultError. A file's name is not kept.
        """
        details = Details(kind, patient, study, modality, date)
        with _told(self.folder), _opened(source) as file:
            object_id, size = self._named(file)
            entry = Entry(object_id, size, details)
            known = self.catalogue.find(object_id)
            if known not in (None, entry):
                raise VaultError(f"object {object_id} is in the vault under other details")
            if known is None or not self._path(object_id).exists():
                file.seek(0)
                self._write(file, entry)
        return object_id

    def get(self, object_id: str, target: Path | stream.Writable) -> None:
        """Decrypt an object into a new file, which appears only once all is verified, or into a stream.

        A stream gets each chunk as soon as that chunk is verified.
        """
        entry = self.catalogue.find(object_id)
        if entry is None:
            raise VaultError(f"no object {object_id} in vault {self.folder}; `list` names them")
        with _told(self.folder):
            if not isinstance(target, Path):
                self._decrypt(entry, target)
                return
            if target.exists():
                raise VaultError(f"{target} exists; expected the path of a new file")
            with _placed(target) as file:
                self._decrypt(entry, file)

    def list(self, **filters: str) -> tuple[Entry, ...]:
        """The entries whose kind, patient, study, modality or date are those given."""
        return self.catalogue.rows(filters)

    def verify(self, progress: Callable[[int, int], None] | None = None) -> tuple[Fault, ...]:
        """Decrypt every object and compare it with its row; empty where all is whole. Not beside a running put."""
        self.catalogue.check()
        entries = self.list()
        faults = []
        for done, entry in enumerate(entries, 1):
            reason = self._fault(entry)
            if reason:
                faults.append(Fault(entry.id, reason))
            if progress is not None:
                progress(done, len(entries))
        listed = {entry.id for entry in entries}
        held = (path for path in sorted(self.folder.glob("objects/*/*")) if path.suffix != _PART)
        return (*faults, *(Fault(path.name, "unlisted") for path in held if path.name not in listed))

    def _fault(self, entry: Entry) -> str:
        sink = _Digest(self._naming)
        try:
            with _told(self.folder):
                self._decrypt(entry, sink)
        except VaultError:
            return "damaged" if self._path(entry.id).is_file() else "missing"
        return "" if (sink.hexdigest(), sink.size) == (entry.id, entry.size) else "damaged"

    def _decrypt(self, entry: Entry, target: stream.Writable) -> None:
        with self._path(entry.id).open("rb") as file:
            stream.decrypt(file, target, self._wrapping, entry.context)

    def _write(self, file: BinaryIO, entry: Entry) -> None:
        path = self._path(entry.id)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync(path.parent.parent)
        tee = _Tee(file, _Digest(self._naming))
        with _placed(path, self.catalogue.adding(entry)) as target:  # a rival's object is never replaced by another
            stream.encrypt(tee, target, self._wrapping, entry.context)
            if tee.digest.hexdigest() != entry.id:
                raise VaultError("the file changed while it was read; nothing was stored")

    def _named(self, file: BinaryIO) -> tuple[str, int]:
        digest = _Digest(self._naming)
        while piece := file.read(stream.CHUNK_BYTES):
            digest.write(piece)
        return digest.hexdigest(), digest.size

    def _path(self, object_id: str) -> Path:
        return self.folder / "objects" / object_id[:2] / object_id


class _Digest:
    """HMAC-SHA256 and the length of what is written to it."""

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, digestmod=hashlib.sha256)
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self._mac.update(data)
        self.size += len(data)

    def hexdigest(self) -> str:
        return self._mac.hexdigest()


class _Tee:
    """Reads a file and digests what went by."""

    def __init__(self, file: BinaryIO, digest: _Digest) -> None:
        self._file, self.digest = file, digest

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self.digest.write(data)
        return data


def _subkey(root: bytes, purpose: str) -> bytes:
    """One key for each purpose (RFC 5869 2.3)."""
    return HKDFExpand(SHA256(), KEY_BYTES, info=f"radvit vault {purpose}".encode()).derive(root)


def _read_header(path: Path) -> tuple[Derivation, bytes]:
    if not path.is_file():
        raise VaultError(f"{path.parent} is not a vault; `radvit vault init {path.parent}` makes one")
    try:
        header = json.loads(path.read_bytes())
        if header["version"] != VERSION:
            raise VaultError(f"{path} is of version {header['version']}; expected {VERSION}")
        return Derivation.from_dict(header["derivation"]), base64.b64decode(header["check"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise VaultError(f"{path} is malformed; expected the file that `radvit vault init` wrote") from None


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


@contextmanager
def _placed(path: Path, transaction: AbstractContextManager[None] | None = None) -> Iterator[BinaryIO]:
    """A file that appears at `path`, inside the transaction, whole and durable, or not at all."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_PART}")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with transaction or nullcontext():
            part.replace(path)
            _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make a folder's new names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """An operating system's error as a VaultError of one line."""
    try:
        yield
    except OSError as error:
        raise VaultError(f"vault {folder}: {error.filename or 'file'}: {error.strerror or error}") from None
