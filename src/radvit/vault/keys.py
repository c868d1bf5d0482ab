"""Where the key of a vault comes from: a file, the environment, the system's keyring or a passphrase."""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from radvit.errors import VaultError
from radvit.keyfile import KEY_BYTES, create_key, key_or_path, parse_key, read_key
from radvit.vault.derivation import ARGON2ID, HKDF_SHA256, Derivation, root_of_key, root_of_words

ENVIRONMENT = "RADVIT_VAULT_KEY"
DEFAULT_PATH = Path(".radvit/vault.key")
KEYRING_SERVICE = "radvit"
SHORTEST_PASSPHRASE = 8  # characters, NIST SP 800-63B 5.1.1.2

_log = logging.getLogger(__name__)


class KeyProvider(Protocol):
    """Holds what opens a vault: the place where a key management service plugs in."""

    def fresh(self) -> Derivation:
        """Choose the derivation of a new vault, with a new salt; a key is made where it is absent."""
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
        if create_key(self.path, VaultError):
            words = "made a new key at %s; keep a copy elsewhere, as nothing opens what it locks without it"
            _log.info(words, self.path)
        return Derivation.fresh(HKDF_SHA256)

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where the file is absent, malformed, or open to others."""
        return root_of_key(read_key(self.path, VaultError), derivation)


@dataclass(frozen=True, slots=True)
class EnvironmentKey:
    """64 hexadecimal digits in the environment."""

    name: str = ENVIRONMENT

    def fresh(self) -> Derivation:
        """A new salt."""
        return Derivation.fresh(HKDF_SHA256)

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where the variable is unset or malformed."""
        return root_of_key(_parsed(os.environ.get(self.name, ""), self.name), derivation)


@dataclass(frozen=True, slots=True)
class KeyringKey:
    """64 hexadecimal digits in the system's keyring, under the service `radvit` and this name."""

    name: str

    def fresh(self) -> Derivation:
        """Make the key where it is absent."""
        if not self._password():
            self._keep(secrets.token_hex(KEY_BYTES))
            words = (
                "made a new key in the keyring, %s of %s; keep a copy elsewhere, as nothing opens the vault without it"
            )
            _log.info(words, self.name, KEYRING_SERVICE)
        return Derivation.fresh(HKDF_SHA256)

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where there is no keyring, or no such key in it."""
        return root_of_key(_parsed(self._password(), f"{self.name} of the keyring"), derivation)

    def _password(self) -> str:
        try:
            import keyring
            import keyring.errors
        except ImportError:
            raise VaultError("the system's keyring needs the package keyring: pip install radvit[keyring]") from None
        try:
            return keyring.get_password(KEYRING_SERVICE, self.name) or ""
        except keyring.errors.NoKeyringError:
            raise VaultError("this system has no keyring; expected a key file, or a keyring service") from None
        except keyring.errors.KeyringError as error:
            raise VaultError(f"the system's keyring can't be read: {_first_line(error)}") from None

    def _keep(self, key: str) -> None:
        import keyring
        import keyring.errors

        try:
            keyring.set_password(KEYRING_SERVICE, self.name, key)
        except keyring.errors.KeyringError as error:
            raise VaultError(f"the system's keyring can't be written: {_first_line(error)}") from None


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Words that a person remembers, made a key by Argon2id, or by PBKDF2-HMAC-SHA256 where that is asked for.

    derivation: ARGON2ID or PBKDF2_SHA256, of a new vault; an old one keeps its own.
    """

    words: str = field(repr=False)
    derivation: str = ARGON2ID

    def fresh(self) -> Derivation:
        """A new salt; VaultError where the passphrase is short."""
        if len(self.words) < SHORTEST_PASSPHRASE:
            raise VaultError(f"passphrase of {len(self.words)} characters; expected {SHORTEST_PASSPHRASE} or more")
        return Derivation.fresh(self.derivation)

    def root(self, derivation: Derivation) -> bytes:
        """Raises VaultError where the vault is opened by a key."""
        return root_of_words(self.words, derivation)


def choose(path: Path | None, environment: str = ENVIRONMENT, default: Path = DEFAULT_PATH) -> KeyProvider:
    """The key file at `path`; None: the key or the path that the environment's variable holds, else `default`.

    Raises VaultError where the variable holds a key with a fault.
    """
    if path is None:
        told = key_or_path(environment, VaultError)
        if isinstance(told, bytes):
            return EnvironmentKey(environment)
        path = told
    return KeyFile(path or default)


def _parsed(text: str, where: str) -> bytes:
    key = parse_key(text)
    if key is None:
        found = f"has {len(text.strip())} characters" if text else "is not set"
        raise VaultError(f"key {where} {found}; expected {2 * KEY_BYTES} hexadecimal digits")
    return key


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
