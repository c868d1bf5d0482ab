"""A folder of encrypted objects and their catalogue.

DIR/vault.json          the vault's keys, sealed under the key that opens it
DIR/catalogue.sqlite    what is held: ids, sizes, kinds, pseudonyms
DIR/objects/ab/ab12...  the objects, encrypted
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from radvit.errors import VaultError
from radvit.keyfile import KEY_BYTES, sync_folder
from radvit.vault import stream
from radvit.vault.catalogue import Catalogue, Details, Entry, Stored, is_id
from radvit.vault.files import PART, alone, part, placed, sweep, told
from radvit.vault.keys import KeyProvider
from radvit.vault.ring import Keys, Ring, Slot, read_bytes, read_ring
from radvit.vault.seal import Digest, ReadThrough, WriteThrough, new_seal

_TRIES = 3  # at reading a header that a rotation changes meanwhile


@dataclass(frozen=True, slots=True)
class Fault:
    """What `Vault.verify` found. reason: `missing`, `damaged` (or its row was changed), or `unlisted`."""

    id: str
    reason: str


class Vault:
    """An encrypted store in `folder`, opened with a key.

    Raises VaultError where the folder is no vault, or the key is not its own. Every method raises VaultError alone.
    Objects can be put by many processes at once, also beside a rotation.
    """

    def __init__(self, folder: Path, provider: KeyProvider) -> None:
        self.folder, self.provider = folder, provider
        self.catalogue = Catalogue(folder / "catalogue.sqlite")
        self._told: bytes | None = None
        self.refresh()

    @classmethod
    def init(cls, folder: Path, provider: KeyProvider) -> Vault:
        """Make a vault in a new or empty folder, or in one that holds no more than a run of this that was killed."""
        with told(f"vault {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(folder, f"another process makes a vault in {folder}"):
                if not _is_begun(folder):
                    raise VaultError(f"{folder} is not empty; expected a new folder for the vault")
                slot = Slot.seal(Keys.fresh(), provider.fresh(), provider)
                (folder / "objects").mkdir(mode=0o700, exist_ok=True)
                catalogue = Catalogue(folder / "catalogue.sqlite")
                catalogue.create()
                if catalogue.count():
                    raise VaultError(f"{folder} has lost its vault.json; put that back, or name a new folder")
                Ring((slot,)).write(folder / "vault.json")  # last, so that what is half made is no vault
        return cls(folder, provider)

    def refresh(self) -> bool:
        """Read vault.json again if it has changed, as a rotation does; returns whether it has."""
        path = self.folder / "vault.json"
        with told(f"vault {self.folder}"):
            if not path.is_file():
                raise VaultError(f"{self.folder} is not a vault; `radvit vault init {self.folder}` makes one")
            data = read_bytes(path)
        if data == self._told:
            return False
        self.ring = read_ring(data, path)
        self.keys, self.slot = self.ring.open(self.provider)
        self._told = data
        return True

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
        with told(f"vault {self.folder}"), _opened(source) as file:
            digest = Digest(self.keys.naming).of(file)
            entry = Entry(digest.hexdigest(), digest.size, details)
            known = self.catalogue.find(entry.id)
            if known not in (None, entry):
                raise VaultError(f"object {entry.id} is in the vault under other details")
            if known is None or not self.path(entry.id).exists():
                self._forget_seal(known)
                file.seek(0)
                self._store(file, entry)
        return entry.id

    def get(self, object_id: str, target: Path | stream.Writable) -> None:
        """Decrypt an object into a new file, which appears only once all is verified, or into a stream.

        A stream gets each chunk as soon as that chunk is verified.
        """
        entry = self.entry(object_id)
        with told(f"vault {self.folder}"):
            if not isinstance(target, Path):
                self._decrypt(entry, target)
                return
            self.check_outside(target)
            if target.exists():
                raise VaultError(f"{target} exists; expected the path of a new file")
            with placed(target) as file:
                self._decrypt(entry, file)

    def entry(self, object_id: str) -> Entry:
        """What the catalogue says of an object; VaultError where there is none."""
        entry = self.catalogue.find(object_id)
        if entry is None:
            raise VaultError(f"no object {object_id} in vault {self.folder}; `list` names them")
        return entry

    def list(self, **filters: str) -> tuple[Entry, ...]:
        """The entries whose kind, patient, study, modality or date are those given, from day `since` to `until`.

        Raises VaultError where one of these rows was changed so that it has no form; `select` passes over such.
        """
        entries, faults = self.select(**filters)
        if faults:
            raise VaultError(f"object {faults[0].id!r}: its row was changed; `verify` names all that were")
        return entries

    def select(self, **filters: str) -> tuple[tuple[Entry, ...], tuple[Fault, ...]]:
        """As `list`, beside the faults of the rows that have no form."""
        entries, changed = self.catalogue.rows(filters)
        return entries, tuple(Fault(object_id, "damaged") for object_id in changed)

    def check_outside(self, target: Path) -> None:
        """VaultError where a plaintext's place lies inside of the vault."""
        if target.resolve().is_relative_to(self.folder.resolve()):
            raise VaultError(f"{target} lies inside of the vault; expected a place outside of it")

    def is_whole(self, path: Path, object_id: str) -> bool:
        """Whether a file holds an object's plaintext."""
        with told(f"vault {self.folder}"), path.open("rb") as file:
            return Digest(self.keys.naming).of(file).hexdigest() == object_id

    def verify(self, progress: Callable[[int, int], None] | None = None, quick: bool = False) -> tuple[Fault, ...]:
        """Decrypt every object and compare it with its row; empty where all is whole. Not beside a running put.

        quick: instead of decrypting, compare each file with the keyed hash that was made when it was put; an object
        without one, from a catalogue of version 1, is decrypted, and gets one. What killed runs left half written is
        removed.
        """
        self.catalogue.check()
        entries, changed = self.select()
        faults = list(changed)
        for done, entry in enumerate(entries, 1):
            reason = self._fault(entry, quick)
            if reason:
                faults.append(Fault(entry.id, reason))
            if progress is not None:
                progress(done, len(entries))
        listed = {entry.id for entry in entries} | {fault.id for fault in changed}
        held = sorted(self.folder.glob("objects/*/*"))
        with told(f"vault {self.folder}"):
            sweep([*(path for path in held if path.suffix == PART), *self.folder.glob(f"*{PART}")])
        unlisted = (path.name for path in held if path.suffix != PART and path.name not in listed)
        return (*faults, *(Fault(name, "unlisted") for name in unlisted))

    def path(self, object_id: str) -> Path:
        """Where an object's file is; VaultError where the id has no such form, so that none leads out of the vault."""
        if not is_id(object_id):
            raise VaultError("object id is malformed; expected 64 hexadecimal digits")
        return self.folder / "objects" / object_id[:2] / object_id

    @contextmanager
    def opened(self, object_id: str) -> Iterator[tuple[BinaryIO, stream.Header, bytes]]:
        """An object's file, behind its header; the header; and the object's own key."""
        with self.path(object_id).open("rb") as file:
            for _ in range(_TRIES):
                self.refresh()
                stored = self.catalogue.stored(object_id)  # before the header, which a rotation changes after its row
                file.seek(0)
                header = stream.read_header(file)
                for wrapped in (header.wrapped, stored.wrapped if stored else None):
                    key = wrapped and stream.unwrap(wrapped, self.keys.keks)
                    if key:
                        yield file, header, key
                        return
        raise VaultError(f"object {object_id}: its header was changed, or it is another vault's")

    def _fault(self, entry: Entry, quick: bool) -> str:
        stored = self.catalogue.stored(entry.id)
        seal = stored and stored.seal
        try:
            with told(f"vault {self.folder}"):
                found = self._sealed(entry) if quick and seal else self._proved(entry)
        except VaultError:
            found = b""
        if not found:
            return "damaged" if self.path(entry.id).is_file() else "missing"
        if seal is None:
            self._keep_seal(entry, found)
        return "" if seal in (None, found) else "damaged"

    def _sealed(self, entry: Entry) -> bytes:
        with self.opened(entry.id) as (file, header, key):
            return new_seal(self.keys.sealing, entry, header, key).of(file).digest()

    def _proved(self, entry: Entry) -> bytes:
        """The seal of a file that decrypts to what its id and its row say; else empty."""
        sink = Digest(self.keys.naming)
        with self.opened(entry.id) as (file, header, key):
            seal = new_seal(self.keys.sealing, entry, header, key)
            stream.decrypt_body(ReadThrough(file, seal), sink, header, key, entry.context)
        return seal.digest() if (sink.hexdigest(), sink.size) == (entry.id, entry.size) else b""

    def _keep_seal(self, entry: Entry, seal: bytes) -> None:
        """Note the seal of an object that had none."""
        with self.catalogue.writing() as rows:
            rows.seal(entry.id, seal)

    def _forget_seal(self, known: Entry | None) -> None:
        """Of a lost object that is put again: a kill must not leave the old seal beside the new file."""
        if known is not None:
            with self.catalogue.writing() as rows:
                rows.unseal(known.id)

    def _decrypt(self, entry: Entry, target: stream.Writable) -> None:
        with self.opened(entry.id) as (file, header, key):
            stream.decrypt_body(file, target, header, key, entry.context)

    def _store(self, file: BinaryIO, entry: Entry) -> None:
        path = self.path(entry.id)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(path.parent.parent)
        while not self._stored(file, entry, path):
            file.seek(0)

    def _stored(self, file: BinaryIO, entry: Entry, path: Path) -> bool:
        """Encrypt and put in place; False, with nothing changed, where the keys were rotated meanwhile."""
        with part(path) as unfinished:
            seal = self._encrypt(file, unfinished.file, entry)
            unfinished.settle()
            with self.catalogue.writing() as rows:
                if self.refresh():
                    return False
                if rows.add(entry) or not path.exists():  # a rival's object is never replaced by another
                    unfinished.place()
                    rows.store(entry.id, Stored(seal, self.keys.generation, None))
        return True

    def _encrypt(self, file: BinaryIO, target: BinaryIO, entry: Entry) -> bytes:
        """Write an object, and return its seal."""
        key = secrets.token_bytes(KEY_BYTES)
        header = stream.Header.fresh(stream.wrap(key, self.keys.kek))
        source, seal = ReadThrough(file, Digest(self.keys.naming)), new_seal(self.keys.sealing, entry, header, key)
        target.write(header.to_bytes())
        stream.encrypt_body(source, WriteThrough(target, seal), header, key, entry.context)
        if source.digest.hexdigest() != entry.id:
            raise VaultError("the file changed while it was read; nothing was stored")
        return seal.digest()


def _is_begun(folder: Path) -> bool:
    """Whether a folder is empty, or holds only what `Vault.init` makes before vault.json, with no object in it."""
    known = {"objects", "catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"}
    unknown = {path.name for path in folder.iterdir() if path.suffix != PART} - known
    return not unknown and not any(folder.glob("objects/*"))


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
