"""vault.json: the vault's keys, sealed under what opens it, once for each that does.

Version 2:

    version     2
    state       "ready", or "rotating" while objects move from one key-encryption key to the next
    slots       one; in a rotation's first half two, for the key that leaves and the key that comes
        derivation      how the slot's root key is made
        keys            the sealed keys: a record of form version 1 under a subkey of the root

Version 1 has no slots, but one derivation, whose root gives the keys themselves, and `check`, which tells a wrong key.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from radvit.errors import VaultError
from radvit.keyfile import KEY_BYTES
from radvit.vault import stream
from radvit.vault.derivation import Derivation, subkey
from radvit.vault.files import placed
from radvit.vault.keys import KeyProvider

VERSION = 2
MOST_BYTES = 64 * 1024  # of vault.json; its own few kilobytes are far from it
_STATES = {"ready": False, "rotating": True}


@dataclass(frozen=True, slots=True)
class Keys:
    """What a vault works with; every key 32 bytes.

    kek: wraps the objects' keys. generation: counts the rotations. old: in the second half of a rotation, the kek
    that was replaced. coming: in its first half, the kek that is to come; only the new key's slot holds it.
    naming: gives the objects' ids. sealing: gives the hashes of their files. These two stay over rotations.
    """

    generation: int
    kek: bytes = field(repr=False)
    old: bytes | None = field(repr=False)
    naming: bytes = field(repr=False)
    sealing: bytes = field(repr=False)
    coming: bytes | None = field(default=None, repr=False)

    @classmethod
    def fresh(cls) -> Keys:
        """Of a new vault."""
        kek, naming, sealing = (secrets.token_bytes(KEY_BYTES) for _ in range(3))
        return cls(1, kek, None, naming, sealing)

    @property
    def keks(self) -> tuple[bytes, ...]:
        """The key-encryption keys that may open an object."""
        return tuple(kek for kek in (self.kek, self.old, self.coming) if kek is not None)

    @property
    def goal(self) -> int:
        """The generation that every object is of once the rotation under way has ended."""
        return self.generation + (self.coming is not None)

    def announced(self) -> Keys:
        """With a new key-encryption key that is to come."""
        return replace(self, coming=secrets.token_bytes(KEY_BYTES))

    def switched(self) -> Keys:
        """With the one that was to come in use, and the present one as the one that was replaced."""
        if self.coming is None:
            raise ValueError("no key-encryption key is to come")
        return replace(self, generation=self.goal, kek=self.coming, old=self.kek, coming=None)

    def settled(self) -> Keys:
        """With the key-encryption key in use alone."""
        return replace(self, old=None, coming=None)


@dataclass(frozen=True, slots=True)
class Slot:
    """The keys as one provider opens them."""

    derivation: Derivation
    sealed: bytes

    @classmethod
    def seal(cls, keys: Keys, derivation: Derivation, provider: KeyProvider) -> Slot:
        """Seal keys for a provider."""
        told = {
            "generation": keys.generation,
            "kek": keys.kek.hex(),
            "old": keys.old and keys.old.hex(),
            "coming": keys.coming and keys.coming.hex(),
            "naming": keys.naming.hex(),
            "sealing": keys.sealing.hex(),
        }
        secret = subkey(provider.root(derivation), "keys")
        return cls(derivation, stream.encrypt_record(json.dumps(told).encode(), secret))

    def open(self, provider: KeyProvider) -> Keys | None:
        """The keys, or None where the provider's key isn't the slot's. What the provider raises passes through."""
        root = provider.root(self.derivation)
        try:
            told = json.loads(stream.decrypt_record(self.sealed, subkey(root, "keys")))
        except VaultError:
            return None
        old, coming = (told.get(name) and bytes.fromhex(told[name]) for name in ("old", "coming"))
        kek, naming, sealing = (bytes.fromhex(told[name]) for name in ("kek", "naming", "sealing"))
        return Keys(told["generation"], kek, old, naming, sealing, coming)

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {"derivation": self.derivation.to_dict(), "keys": base64.b64encode(self.sealed).decode()}


@dataclass(frozen=True, slots=True)
class FirstSlot(Slot):
    """What a vault of version 1 has: the root gives the keys, and `sealed` only tells a wrong one."""

    def open(self, provider: KeyProvider) -> Keys | None:
        """As `Slot.open`."""
        root = provider.root(self.derivation)
        try:
            stream.decrypt_record(self.sealed, subkey(root, "record"))
        except VaultError:
            return None
        return Keys(1, subkey(root, "wrap"), None, subkey(root, "name"), subkey(root, "seal"))


@dataclass(frozen=True, slots=True)
class Ring:
    """All of vault.json. rotating: whether a rotation was begun and not yet finished."""

    slots: tuple[Slot, ...]
    rotating: bool = False

    def open(self, provider: KeyProvider) -> tuple[Keys, Slot]:
        """The keys, and the slot that the provider opens, the newest first.

        Raises VaultError where there is none; where the provider has no key at all, its own.
        """
        faults = []
        for slot in reversed(self.slots):
            try:
                keys = slot.open(provider)
            except VaultError as error:
                faults.append(error)
                continue
            if keys is not None:
                return keys, slot
        if len(faults) == len(self.slots):
            raise faults[0]
        raise VaultError("the key is not this vault's, or vault.json was changed")

    def write(self, path: Path) -> None:
        """Put this in the place of what stands there, at once."""
        state = "rotating" if self.rotating else "ready"
        told = {"version": VERSION, "state": state, "slots": [slot.to_dict() for slot in self.slots]}
        with placed(path) as file:
            file.write(json.dumps(told, indent=2).encode() + b"\n")


def read_bytes(path: Path) -> bytes:
    """vault.json as it stands, or as much of it as shows that it is too long."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def read_ring(data: bytes, path: Path) -> Ring:
    """What vault.json holds. Raises VaultError where it is malformed, too long, or of another version."""
    try:
        told = json.loads(data if len(data) <= MOST_BYTES else b"")
        match told["version"]:
            case 1:
                return Ring((FirstSlot(Derivation.from_dict(told["derivation"]), _decoded(told["check"])),))
            case 2:
                slots = [
                    Slot(Derivation.from_dict(slot["derivation"]), _decoded(slot["keys"])) for slot in told["slots"]
                ]
                rotating = _STATES[told["state"]]
                if 1 <= len(slots) <= 1 + rotating:
                    return Ring(tuple(slots), rotating)
            case version:
                raise VaultError(f"{path} is of version {version}; expected {VERSION}")
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise VaultError(f"{path} is malformed; expected the file that `radvit vault init` wrote")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
