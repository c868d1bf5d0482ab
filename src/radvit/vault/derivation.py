"""How a root key is made from what its owner holds: a key by HKDF, a passphrase by Argon2id or PBKDF2."""

from __future__ import annotations

import base64
import binascii
import secrets
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from radvit.errors import VaultError
from radvit.keyfile import KEY_BYTES

SALT_BYTES = 16
ITERATIONS = 600_000  # OWASP's figure for PBKDF2-HMAC-SHA256

HKDF_SHA256 = "hkdf-sha256"
PBKDF2_SHA256 = "pbkdf2-hmac-sha256"
ARGON2ID = "argon2id"

# (iterations, KiB of memory, lanes): what a new salt comes with. Argon2id's are RFC 9106's second choice (section 4).
_CHOSEN = {HKDF_SHA256: (0, 0, 0), PBKDF2_SHA256: (ITERATIONS, 0, 0), ARGON2ID: (3, 64 * 1024, 4)}
# What a reader takes: no less than is safe (OWASP's least for Argon2id), no more than can be meant, for a forged header
# must not keep a reader busy for hours or fill its memory.
_BOUNDS = {
    HKDF_SHA256: ((0, 0), (0, 0), (0, 0)),
    PBKDF2_SHA256: ((ITERATIONS, 10_000_000), (0, 0), (0, 0)),
    ARGON2ID: ((2, 32), (19 * 1024, 1024 * 1024), (1, 16)),
}
_UNITS = ("iterations", "KiB of memory", "lanes")
_WORDS = {HKDF_SHA256: "HKDF", PBKDF2_SHA256: "PBKDF2", ARGON2ID: "Argon2id"}


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a root key is made; no secret, kept in the open.

    name: HKDF_SHA256, PBKDF2_SHA256 or ARGON2ID. salt: 16 random bytes. iterations: 0 for HKDF. memory_kib, lanes: 0
    but for Argon2id. Raises VaultError where one of them is out of bounds.
    """

    name: str
    salt: bytes
    iterations: int = 0
    memory_kib: int = 0
    lanes: int = 0

    def __post_init__(self) -> None:
        if self.name not in _BOUNDS:
            raise VaultError(f"key derivation {self.name!r}; expected {', '.join(_BOUNDS)}")
        if len(self.salt) != SALT_BYTES:
            raise VaultError(f"salt of {len(self.salt)} bytes; expected {SALT_BYTES}")
        found = (self.iterations, self.memory_kib, self.lanes)
        for value, (least, most), unit in zip(found, _BOUNDS[self.name], _UNITS, strict=True):
            if not least <= value <= most:
                raise VaultError(f"{value} {unit} of {_WORDS[self.name]}; expected {least} to {most}")

    @classmethod
    def fresh(cls, name: str) -> Derivation:
        """With a new salt and today's parameters."""
        return cls(name, secrets.token_bytes(SALT_BYTES), *_CHOSEN[name])

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it, the salt in base 64."""
        told: dict[str, object] = {"name": self.name, "salt": base64.b64encode(self.salt).decode()}
        numbers = {"iterations": self.iterations}
        if self.name == ARGON2ID:
            numbers |= {"memory_kib": self.memory_kib, "lanes": self.lanes}
        return told | numbers

    @classmethod
    def from_dict(cls, told: object) -> Derivation:
        """Read `to_dict`'s form; VaultError where it is another."""
        match told:
            case {
                "name": str(name),
                "salt": str(salt),
                "iterations": int(iterations),
                "memory_kib": int(memory_kib),
                "lanes": int(lanes),
            }:
                return cls(name, _decoded(salt), iterations, memory_kib, lanes)
            case {"name": str(name), "salt": str(salt), "iterations": int(iterations)}:
                return cls(name, _decoded(salt), iterations)
        raise VaultError("key derivation is malformed; expected name, salt and iterations")


def root_of_key(key: bytes, derivation: Derivation) -> bytes:
    """A root key of its own for each salt (HKDF, RFC 5869), so that vaults may share a key.

    Raises VaultError where the derivation is a passphrase's.
    """
    if derivation.name != HKDF_SHA256:
        raise VaultError("this opens by a passphrase, not by a key")
    return HKDF(SHA256(), KEY_BYTES, salt=derivation.salt, info=b"radvit vault root").derive(key)


def root_of_words(passphrase: str, derivation: Derivation) -> bytes:
    """A root key from a passphrase, by Argon2id or PBKDF2. Raises VaultError where the derivation is a key's."""
    if derivation.name == PBKDF2_SHA256:
        return stretch(passphrase, derivation.salt, derivation.iterations)
    if derivation.name != ARGON2ID:
        raise VaultError("this opens by a key file or another kept key, not by a passphrase")
    try:
        slow = Argon2id(
            salt=derivation.salt,
            length=KEY_BYTES,
            iterations=derivation.iterations,
            lanes=derivation.lanes,
            memory_cost=derivation.memory_kib,
        )
    except UnsupportedAlgorithm:
        raise VaultError("OpenSSL has no Argon2id here; expected OpenSSL 3.2 or later, or `--kdf pbkdf2`") from None
    try:
        return slow.derive(_encoded(passphrase))
    except MemoryError:
        raise VaultError(f"Argon2id needs {derivation.memory_kib // 1024} MiB of memory, and there is less") from None


def stretch(passphrase: str, salt: bytes, iterations: int = ITERATIONS) -> bytes:
    """32 bytes from a passphrase by PBKDF2-HMAC-SHA256 (RFC 8018 5.2), the passphrase in Unicode's form NFC.

    Raises VaultError where it is empty or the iterations are outside 600,000 to 10,000,000.
    """
    Derivation(PBKDF2_SHA256, salt, iterations)
    return PBKDF2HMAC(SHA256(), KEY_BYTES, salt, iterations).derive(_encoded(passphrase))


def subkey(root: bytes, purpose: str) -> bytes:
    """One key for each purpose (RFC 5869 2.3)."""
    return HKDFExpand(SHA256(), KEY_BYTES, info=f"radvit vault {purpose}".encode()).derive(root)


def _encoded(passphrase: str) -> bytes:
    if not passphrase:
        raise VaultError("passphrase is empty")
    return unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")


def _decoded(salt: str) -> bytes:
    try:
        return base64.b64decode(salt, validate=True)
    except binascii.Error:
        raise VaultError("salt isn't base 64") from None
