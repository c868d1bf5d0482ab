"""vault.json: the vault's keys, sealed under what opens it, once for each that does.

Version 2:

    version     2
    state       "ready", or "rotating" while objects move from one key-encryption key to the next
    slots       one; while rotating two, for the key that leaves and the key that comes
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


@dataclass(frozen=True, slots=True)
class Keys:
    """What a vault works with; every key 32 bytes.

    kek: wraps the objects' keys. generation: counts the rotations. old: the kek that a rotation is replacing.
    naming: gives the objects' ids. sealing: gives the hashes of their files. These two stay over rotations.
    """

    generation: int
    kek: bytes = field(repr=False)
    old: bytes | None = field(repr=False)
    naming: bytes = field(repr=False)
    sealing: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Keys:
        """Of a new vault."""
        kek, naming, sealing = (secrets.token_bytes(KEY_BYTES) for _ in range(3))
        return cls(1, kek, None, naming, sealing)

    @property
    def keks(self) -> tuple[bytes, ...]:
        """The key-encryption keys that may open an object."""
        return (self.kek,) if self.old is None else (self.kek, self.old)

    def next(self) -> Keys:
        """With a new key-encryption key, and the present one as the one to be replaced."""
        return replace(self, generation=self.generation + 1, kek=secrets.token_bytes(KEY_BYTES), old=self.kek)

    def settled(self) -> Keys:
        """Without the key-encryption key that was replaced."""
        return replace(self, old=None)


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
        old = told["old"] and bytes.fromhex(told["old"])
        kek, naming, sealing = (bytes.fromhex(told[name]) for name in ("kek", "naming", "sealing"))
        return Keys(told["generation"], kek, old, naming, sealing)

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
    """All of vault.json."""

    slots: tuple[Slot, ...]

    @property
    def rotating(self) -> bool:
        """Whether a rotation was begun and not yet finished."""
        return len(self.slots) > 1

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


def read_ring(data: bytes, path: Path) -> Ring:
    """What vault.json holds. Raises VaultError where it is malformed, or of another version."""
    try:
        told = json.loads(data)
        match told["version"]:
            case 1:
                return Ring((FirstSlot(Derivation.from_dict(told["derivation"]), _decoded(told["check"])),))
            case 2:
                slots = [
                    Slot(Derivation.from_dict(slot["derivation"]), _decoded(slot["keys"])) for slot in told["slots"]
                ]
                if 1 <= len(slots) <= 2:
                    return Ring(tuple(slots))
            case version:
                raise VaultError(f"{path} is of version {version}; expected {VERSION}")
    except (ValueError, KeyError, TypeError):
        pass
    raise VaultError(f"{path} is malformed; expected the file that `radvit vault init` wrote")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
