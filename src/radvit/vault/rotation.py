"""Give a vault a new key: another one opens it, and every object's own key is wrapped by another key-encryption key.

Whoever had the old key may have read vault.json and so have the key-encryption key. To seal that one anew would leave
every object open to him; so a rotation makes another, which is never sealed under the old key. Only 40 bytes of each
object are written, in two halves:

1. The new wrapping of every object is noted in its row. The files stay as they are, and new ones are wrapped by the old
   key-encryption key: both keys open the vault and all that is in it. The new key's slot alone holds what is to come.
2. Once nothing is without a note, vault.json is replaced, at once, by one that the new key alone opens. Then the notes
   are written into the files. They are written in place, and a machine may stop in the midst of them: so a note leaves
   its row only when it is durable in the file, and an object opens by its header, or else by its note.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from radvit.errors import VaultError
from radvit.vault import stream
from radvit.vault.catalogue import Stored, Writer
from radvit.vault.files import alone, told
from radvit.vault.keys import KeyProvider
from radvit.vault.ring import Keys, Ring, Slot
from radvit.vault.store import Fault, Vault

BATCH = 64  # objects a transaction, during which a put waits

Progress = Callable[[int, int], None]


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
    progress: Progress | None = None,
    leave_damaged: bool = False,
) -> Rotated:
    """Make `new` what opens the vault, and wrap every object's key anew. Ids and seals stay.

    Killed at any moment, it is finished by running it again. `old` may be `new`. Run again after its end, it changes
    nothing. leave_damaged: end it although some objects can't be rewrapped, which then never open again, but for lost
    ones that had a note and come back. progress: gets the steps done and their number, two an object. Raises VaultError
    where neither key opens the vault, or another rotation runs.
    """
    with told(f"vault {folder}"), _alone(folder):
        vault, by_old = _opened(folder, old, new)
        if not by_old and not vault.ring.rotating:
            return Rotated(0, (), done=True)
        if vault.keys.old is not None:
            before = _second_half(vault, leave_damaged, progress)
            if not (by_old and before.done):
                return before
        vault = _begun(vault, new)
        faults = _first_half(vault, progress)
        if (faults and not leave_damaged) or not _switched(vault, faults, leave_damaged):
            return Rotated(0, _sorted(faults), done=False)
        return _second_half(vault, leave_damaged, progress)


def _opened(folder: Path, old: KeyProvider, new: KeyProvider) -> tuple[Vault, bool]:
    """The vault, and whether the old key opened it: in a rotation's second half, and after it, the new one does."""
    try:
        return Vault(folder, old), True
    except VaultError as error:
        try:
            return Vault(folder, new), False
        except VaultError:
            raise error from None


def _begun(vault: Vault, new: KeyProvider) -> Vault:
    """Write vault.json with a slot for either key, and open it by the new one, unless that was done before."""
    with vault.catalogue.writing():  # no put is in its last step
        vault.refresh()
        if not (len(vault.ring.slots) > 1 and _opens(vault.ring.slots[-1], new)):
            present = vault.keys.settled()  # of a rotation that was begun to another new key, without what was to come
            slots = (
                Slot.seal(present, vault.slot.derivation, vault.provider),
                Slot.seal(present.announced(), new.fresh(), new),
            )
            Ring(slots, rotating=True).write(vault.folder / "vault.json")
    return Vault(vault.folder, new)


def _opens(slot: Slot, provider: KeyProvider) -> bool:
    try:
        return slot.open(provider) is not None
    except VaultError:
        return False


def _first_half(vault: Vault, progress: Progress | None) -> dict[str, str]:
    """Note what is to come in every row; returns the faults, reasons by id."""
    faults: dict[str, str] = {}
    total = vault.catalogue.count_behind(vault.keys.goal)
    seen, last = 0, ""
    while batch := _noted(vault, last, faults):
        seen, last = seen + len(batch), batch[-1]
        if progress is not None:
            progress(seen, 2 * max(total, seen))
    return faults


def _switched(vault: Vault, faults: dict[str, str], leave_damaged: bool) -> bool:
    """Note what was put meanwhile, and let the new key alone open the vault; False where a fault forbids it."""
    with vault.catalogue.writing() as rows:
        for object_id, stored in rows.behind(vault.keys.goal, unnoted=True):
            _note(vault, rows, object_id, stored, faults)
        if not faults or leave_damaged:
            _write_one_slot(vault, vault.keys.switched(), rotating=True)
    return vault.refresh()


def _second_half(vault: Vault, leave_damaged: bool, progress: Progress | None) -> Rotated:
    """Write the notes into the files, and end the rotation."""
    faults: dict[str, str] = {}
    total = vault.catalogue.count_behind(vault.keys.goal)
    seen, last, rewrapped = 0, "", 0
    while batch := _noted(vault, last, faults):
        rewrapped += _write_noted(vault, batch, faults)
        seen, last = seen + len(batch), batch[-1]
        if progress is not None:
            progress(max(total, seen) + seen, 2 * max(total, seen))
    done = leave_damaged or not faults
    if done:
        with vault.catalogue.writing():
            _write_one_slot(vault, vault.keys.settled(), rotating=False)
        vault.refresh()
    return Rotated(rewrapped, _sorted(faults), done)


def _noted(vault: Vault, after: str, faults: dict[str, str]) -> list[str]:
    """Note the new wrappings of the next objects in their rows; returns all of their ids, adds to the faults."""
    with vault.catalogue.writing() as rows:
        batch = rows.behind(vault.keys.goal, BATCH, after)
        for object_id, stored in batch:
            _note(vault, rows, object_id, stored, faults)
    return [object_id for object_id, _ in batch]


def _note(vault: Vault, rows: Writer, object_id: str, stored: Stored, faults: dict[str, str]) -> None:
    """Note the wrapping of an object's key by the newest key-encryption key.

    The key is the header's, for a note may be of a file that another has replaced. Where the header fails, it is the
    note's, which an earlier rotation left, or a torn write; such a note stays as it is in the first half, which may be
    given up, and is made anew in the second, even where the file is lost, so that the file may come back.
    """
    keys = vault.keys
    faults.pop(object_id, None)
    header = _header(vault, object_id, faults)
    by_header, by_note = (stream.unwrap(wrapped or b"", keys.keks) for wrapped in (header, stored.wrapped))
    key = by_header or (by_note if keys.coming is None else None)
    if key is not None:
        rows.store(object_id, replace(stored, wrapped=stream.wrap(key, keys.coming or keys.kek)))
    elif by_note is None:
        faults.setdefault(object_id, "damaged")


def _header(vault: Vault, object_id: str, faults: dict[str, str]) -> bytes:
    """The wrapped key that a file's header holds; else empty, and a fault."""
    try:
        with vault.path(object_id).open("rb") as file:
            return stream.read_header(file).wrapped
    except FileNotFoundError:
        faults[object_id] = "missing"
    except VaultError:
        faults[object_id] = "damaged"
    return b""


def _write_noted(vault: Vault, ids: list[str], faults: dict[str, str]) -> int:
    """Write the noted wrappings into the headers, and clear the notes; returns how many.

    In one transaction, so that no put is beside. An object of the faults keeps its note.
    """
    written = 0
    with vault.catalogue.writing() as rows:
        for object_id in ids:
            stored = rows.stored(object_id)
            if object_id in faults or stored is None or stored.wrapped is None:
                continue
            try:
                _overwrite(vault.path(object_id), stored.wrapped)
                rows.store(object_id, Stored(stored.seal, vault.keys.generation, None))
                written += 1
            except FileNotFoundError:
                faults[object_id] = "missing"
    return written


def _overwrite(path: Path, wrapped: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, wrapped, stream.WRAPPED_AT)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_one_slot(vault: Vault, keys: Keys, rotating: bool) -> None:
    slot = Slot.seal(keys, vault.slot.derivation, vault.provider)
    Ring((slot,), rotating).write(vault.folder / "vault.json")


def _sorted(faults: Mapping[str, str]) -> tuple[Fault, ...]:
    return tuple(Fault(object_id, reason) for object_id, reason in sorted(faults.items()))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    if not (folder / "vault.json").is_file():
        raise VaultError(f"{folder} is not a vault; `radvit vault init {folder}` makes one")
    with alone(folder, f"another rotation of {folder} is running; wait for its end"):
        yield
