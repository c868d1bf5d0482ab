"""Where the key of a vault comes from: a file, the environment or a passphrase."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from radvit.errors import VaultError

KEY_BYTES = 32
SALT_BYTES = 16
ENVIRONMENT = "RADVIT_VAULT_KEY"
DEFAULT_PATH = Path(".radvit/vault.key")
ITERATIONS = 600_000  # OWASP's figure for PBKDF2-HMAC-SHA256
MOST_ITERATIONS = 10_000_000  # a forged header can't keep a reader busy for hours
SHORTEST_PASSPHRASE = 8  # characters, NIST SP 800-63B 5.1.1.2

HKDF_SHA256 = "hkdf-sha256"
PBKDF2_SHA256 = "pbkdf2-hmac-sha256"

_HEX = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}\Z")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a vault's root key is made from what its owner holds; no secret, kept in the vault.

    name: HKDF_SHA256 or PBKDF2_SHA256. salt: 16 random bytes. iterations: 0 for HKDF.
    Raises VaultError where one of them is out of bounds.
    """

    name: str
    salt: bytes
    iterations: int = 0

    def __post_init__(self) -> None:
        if self.name not in (HKDF_SHA256, PBKDF2_SHA256):
            raise VaultError(f"key derivation {self.name!r}; expected {HKDF_SHA256} or {PBKDF2_SHA256}")
        if len(self.salt) != SALT_BYTES:
            raise VaultError(f"salt of {len(self.salt)} bytes; expected {SALT_BYTES}")
        if self.name == PBKDF2_SHA256:
            check_iterations(self.iterations)

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it, the salt in base 64."""
        return {"name": self.name, "salt": base64.b64encode(self.salt).decode(), "iterations": self.iterations}

    @classmethod
    def from_dict(cls, told: object) -> Derivation:
        """Read `to_dict`'s form; VaultError where it is another."""
        match told:
            case {"name": str(name), "salt": str(salt), "iterations": int(iterations)}:
                try:
                    return cls(name, base64.b64decode(salt, validate=True), iterations)
                except binascii.Error:
                    raise VaultError("salt isn't base 64") from None
            case _:
                raise VaultError("key derivation is malformed; expected name, salt and iterations")


class KeyProvider(Protocol):
    """Holds what opens a vault."""

    def fresh(self) -> Derivation:
        """Choose the derivation of a new vault, with a new salt; a key file is made where it is absent."""
        ...

    def root(self, derivation: Derivation) -> bytes:
        """The vault's root key, 32 bytes; VaultError where this provider can't derive so."""
        ...


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of 64 hexadecimal digits that its owner alone may read."""

    path: Path

    def fresh(self) -> Derivation:
        """Make the file where it is absent, with mode 0600."""
        if not self.path.exists():
            _create(self.path)
        return Derivation(HKDF_SHA256, secrets.token_bytes(SALT_BYTES))

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where the file is absent, malformed, or open to others."""
        return _expand(_read(self.path), derivation)


@dataclass(frozen=True, slots=True)
class EnvironmentKey:
    """64 hexadecimal digits in the environment."""

    name: str = ENVIRONMENT

    def fresh(self) -> Derivation:
        """A new salt."""
        return Derivation(HKDF_SHA256, secrets.token_bytes(SALT_BYTES))

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where the variable is unset or malformed."""
        return _expand(_parse(os.environ.get(self.name, ""), self.name), derivation)


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Words that a person remembers, stretched by PBKDF2-HMAC-SHA256."""

    words: str = field(repr=False)

    def fresh(self) -> Derivation:
        """A new salt; VaultError where the passphrase is short."""
        if len(self.words) < SHORTEST_PASSPHRASE:
            raise VaultError(f"passphrase of {len(self.words)} characters; expected {SHORTEST_PASSPHRASE} or more")
        return Derivation(PBKDF2_SHA256, secrets.token_bytes(SALT_BYTES), ITERATIONS)

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where the vault is opened by a key."""
        if derivation.name != PBKDF2_SHA256:
            raise VaultError("this vault opens by a key file or the environment's key, not by a passphrase")
        return stretch(self.words, derivation.salt, derivation.iterations)


def choose(path: Path | None) -> KeyProvider:
    """The key file at `path`; None: the environment's RADVIT_VAULT_KEY, else `.radvit/vault.key`."""
    if path is None and os.environ.get(ENVIRONMENT):
        return EnvironmentKey()
    return KeyFile(path or DEFAULT_PATH)


def stretch(passphrase: str, salt: bytes, iterations: int = ITERATIONS) -> bytes:
    """32 bytes from a passphrase by PBKDF2-HMAC-SHA256 (RFC 8018 5.2), the passphrase in Unicode's form NFC.

    Raises VaultError where it is empty or the iterations are outside 600,000 to 10,000,000.
    """
    check_iterations(iterations)
    if not passphrase:
        raise VaultError("passphrase is empty")
    words = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    return PBKDF2HMAC(SHA256(), KEY_BYTES, salt, iterations).derive(words)


def check_iterations(iterations: int) -> None:
    """VaultError where a header asks for fewer iterations than are safe, or for more than can be meant."""
    if not ITERATIONS <= iterations <= MOST_ITERATIONS:
        raise VaultError(f"{iterations} iterations of PBKDF2; expected {ITERATIONS} to {MOST_ITERATIONS}")


def _expand(key: bytes, derivation: Derivation) -> bytes:
    """A root key of the vault's own (RFC 5869), so that vaults may share a key file."""
    if derivation.name != HKDF_SHA256:
        raise VaultError("this vault opens by a passphrase, not by a key")
    return HKDF(SHA256(), KEY_BYTES, salt=derivation.salt, info=b"radvit vault root").derive(key)


def _parse(text: str, where: str) -> bytes:
    if not _HEX.match(text.strip()):
        found = f"has {len(text.strip())} characters" if text else "is not set"
        raise VaultError(f"key {where} {found}; expected {2 * KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(text.strip())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:  # of the file that is open, not of what stands there later
                raise VaultError(f"key file {path} can be read by others; run: chmod 600 {path}")
            text = file.read(1024).decode("ascii", "replace")
    except OSError as error:
        raise VaultError(f"key file {path}: {error.strerror}; expected a file that its owner can read") from None
    return _parse(text, f"file {path}")


def _create(path: Path) -> None:
    """Write a new key with mode 0600, whole or not at all; of two processes that try, one wins."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # fails where the file exists by now, so that no key is ever overwritten
        _log.info("made a new vault key at %s; keep a copy elsewhere, as nothing opens the vault without it", path)
    except FileExistsError:
        pass
    except OSError as error:
        raise VaultError(f"key file {path}: {error.strerror}; expected a folder that can be written") from None
    finally:
        part.unlink(missing_ok=True)
