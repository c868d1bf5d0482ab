"""Give a vault a new key: another one opens it, and every object's own key is wrapped by another key-encryption key.

Whoever had the old key may have read vault.json and so have the key-encryption key. To seal that one anew would leave
every object open to him; so a rotation makes another, and no object keeps a wrapping by the old. Only 40 bytes of each
object are written. They are written in place, and a machine may stop in the midst of them: so the new wrapping stands
in the catalogue first, durable, and leaves it when it is durable in the file. At every moment

1. vault.json opens by the old key and by the new one, and holds both key-encryption keys, until all are rewrapped;
2. an object opens by its header, or else by the wrapping that stands in its row.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from radvit.errors import VaultError
from radvit.vault import stream
from radvit.vault.catalogue import Stored, Writer
from radvit.vault.files import told
from radvit.vault.keys import KeyProvider
from radvit.vault.ring import Ring, Slot
from radvit.vault.store import Fault, Vault

BATCH = 64  # objects a transaction, during which a put waits


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did. rewrapped: objects. faults: those it could not rewrap, `missing` or `damaged`.

    done: whether the old key is out of use; with faults it is only where these were to be left behind.
    """

    rewrapped: int
    faults: tuple[Fault, ...]
    done: bool


def rotate(
    folder: Path,
    old: KeyProvider,
    new: KeyProvider,
    progress: Callable[[int, int], None] | None = None,
    leave_damaged: bool = False,
) -> Rotated:
    """Make `new` what opens the vault, and wrap every object's key anew. Ids and seals stay.

    Killed at any moment, it is finished by running it again; until then both keys open the vault. `old` may be `new`.
    Run again after its end, it changes nothing. leave_damaged: end it although some objects can't be rewrapped, which
    then never open again. Raises VaultError where neither key opens the vault, or another rotation runs.
    """
    with told(f"vault {folder}"), _alone(folder):
        vault, ended = _opened(folder, old, new)
        if ended:
            return Rotated(0, (), done=True)
        vault = _begun(vault, new)
        rewrapped, faults = _rewrap_all(vault, progress)
        done = leave_damaged or not faults
        if done:
            _end(vault, new)
    return Rotated(rewrapped, faults, done)


def _opened(folder: Path, old: KeyProvider, new: KeyProvider) -> tuple[Vault, bool]:
    """The vault, and whether the same rotation had come to its end already: the new key alone opens it."""
    try:
        return Vault(folder, old), False
    except VaultError as error:
        try:
            vault = Vault(folder, new)
        except VaultError:
            raise error from None
        return vault, not vault.ring.rotating


def _begun(vault: Vault, new: KeyProvider) -> Vault:
    """Write vault.json with a slot for either key, and open it by the new one, unless that was done before."""
    with vault.catalogue.writing():  # no put is in its last step
        vault.refresh()
        if vault.ring.rotating and _opens(vault.ring.slots[-1], new):
            slots = vault.ring.slots
        else:  # a rotation that was begun goes on, be it to another new key
            keys = vault.keys if vault.ring.rotating else vault.keys.next()
            present = Slot.seal(keys, vault.slot.derivation, vault.provider)
            slots = (present, Slot.seal(keys, new.fresh(), new))
            Ring(slots).write(vault.folder / "vault.json")
    return Vault(vault.folder, new)


def _opens(slot: Slot, provider: KeyProvider) -> bool:
    try:
        return slot.open(provider) is not None
    except VaultError:
        return False


def _rewrap_all(vault: Vault, progress: Callable[[int, int], None] | None) -> tuple[int, tuple[Fault, ...]]:
    total = vault.catalogue.count_behind(vault.keys.generation)
    faults: list[Fault] = []
    seen, last = 0, ""
    while batch := _noted(vault, last, faults):
        _write_noted(vault, batch, faults)
        seen, last = seen + len(batch), batch[-1]
        if progress is not None:
            progress(seen, max(total, seen))
    return seen - len(faults), tuple(faults)


def _noted(vault: Vault, after: str, faults: list[Fault]) -> list[str]:
    """Note the new wrappings of the next objects in their rows; returns all of their ids, adds to the faults."""
    with vault.catalogue.writing() as rows:
        batch = rows.behind(vault.keys.generation, BATCH, after)
        for object_id, stored in batch:
            with _kept(object_id, faults):
                _note(vault, rows, object_id, stored)
    return [object_id for object_id, _ in batch]


def _note(vault: Vault, rows: Writer, object_id: str, stored: Stored) -> None:
    if stored.wrapped is not None:
        return  # by a run that was killed: the header may be half written
    with vault.path(object_id).open("rb") as file:
        key = stream.unwrap(stream.read_header(file).wrapped, vault.keys.keks)
    if key is None:
        raise VaultError(f"object {object_id}: its header was changed")
    rows.store(object_id, replace(stored, wrapped=stream.wrap(key, vault.keys.kek)))


def _write_noted(vault: Vault, ids: list[str], faults: list[Fault]) -> None:
    """Write the noted wrappings into the headers, and clear the notes; in one transaction, so that no put is beside."""
    with vault.catalogue.writing() as rows:
        for object_id in ids:
            stored = rows.stored(object_id)
            if stored is not None and stored.wrapped is not None:
                with _kept(object_id, faults):
                    _overwrite(vault.path(object_id), stored.wrapped)
                    rows.store(object_id, Stored(stored.seal, vault.keys.generation, None))


@contextmanager
def _kept(object_id: str, faults: list[Fault]) -> Iterator[None]:
    """Keeps a fault that is one object's own."""
    try:
        yield
    except FileNotFoundError:
        faults.append(Fault(object_id, "missing"))
    except VaultError:
        faults.append(Fault(object_id, "damaged"))


def _overwrite(path: Path, wrapped: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, wrapped, stream.WRAPPED_AT)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end(vault: Vault, new: KeyProvider) -> None:
    """Write vault.json without the old key and the old key-encryption key."""
    with vault.catalogue.writing():
        vault.refresh()
        slot = Slot.seal(vault.keys.settled(), vault.slot.derivation, new)
        Ring((slot,)).write(vault.folder / "vault.json")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds a lock that ends with the process, however it ends."""
    if not (folder / "vault.json").is_file():
        raise VaultError(f"{folder} is not a vault; `radvit vault init {folder}` makes one")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise VaultError(f"another rotation of {folder} is running; wait for its end") from None
    try:
        yield
    finally:
        os.close(descriptor)
