"""Where the commands of `radvit vault` take their keys from."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.vault.keys import KeyProvider

FOR_VAULT = "RADVIT_VAULT_KEY, else .radvit/vault.key"
FOR_MAP = "RADVIT_MAP_KEY, else .radvit/map.key"


def add_key(one: argparse.ArgumentParser, default: str = FOR_VAULT) -> None:
    """The options that name the key."""
    how = one.add_mutually_exclusive_group()
    how.add_argument("--key", type=Path, metavar="FILE", help=f"key file; else {default}")
    how.add_argument("--keyring", metavar="NAME", help="a key in the system's keyring")
    how.add_argument("--passphrase", action="store_true", help="ask for a passphrase, or read it from a pipe")


def add_new_key(one: argparse.ArgumentParser) -> None:
    """The options that name the key of a rotation's end."""
    how = one.add_mutually_exclusive_group(required=True)
    how.add_argument("--new-key", type=Path, metavar="FILE", help="key file, made if missing")
    how.add_argument("--new-keyring", metavar="NAME", help="a key in the system's keyring, made if missing")
    how.add_argument("--new-env", metavar="NAME", help="an environment variable that holds the key")
    how.add_argument("--new-passphrase", action="store_true", help="ask for it, or read it from a pipe, after the old")
    how.add_argument("--same-key", action="store_true", help="the key stays; what it locks is made anew")
    add_kdf(one)


def add_kdf(one: argparse.ArgumentParser) -> None:
    """How a new passphrase is made a key."""
    one.add_argument("--kdf", choices=("argon2id", "pbkdf2"), help="how a new passphrase becomes a key; argon2id")


def provider(arguments: argparse.Namespace) -> KeyProvider:
    """What opens the vault."""
    return _vault_key(arguments, new=False)


def first_provider(arguments: argparse.Namespace) -> KeyProvider:
    """What is to open a new vault: a passphrase is asked for twice."""
    _check_kdf(arguments, arguments.passphrase)
    return _vault_key(arguments, new=True)


def map_provider(arguments: argparse.Namespace) -> KeyProvider:
    """What opens a re-identification map."""
    from radvit.vault.keys import choose
    from radvit.vault.reid import DEFAULT_PATH, ENVIRONMENT

    return _named(arguments, new=False) or choose(arguments.key, ENVIRONMENT, DEFAULT_PATH)


def new_provider(arguments: argparse.Namespace, present: KeyProvider) -> KeyProvider:
    """What is to open the vault after a rotation."""
    from radvit.vault.keys import EnvironmentKey, KeyFile, KeyringKey

    _check_kdf(arguments, arguments.new_passphrase)
    if arguments.new_key:
        return _outside(KeyFile(arguments.new_key), arguments.vault)
    if arguments.new_keyring:
        return KeyringKey(arguments.new_keyring)
    if arguments.new_env:
        return EnvironmentKey(arguments.new_env)
    return _passphrase(arguments, new=True) if arguments.new_passphrase else present


def other_keys() -> tuple[bytes, ...]:
    """The keys of pseudonyms and of vaults that are found without being named: a map must have none of them."""
    from radvit.deid.key import DEFAULT_PATH as DEID_PATH
    from radvit.deid.key import ENVIRONMENT as DEID
    from radvit.errors import RadvitError
    from radvit.keyfile import key_or_path, read_key
    from radvit.vault.keys import DEFAULT_PATH, ENVIRONMENT

    found = []
    for environment, path in ((DEID, DEID_PATH), (ENVIRONMENT, DEFAULT_PATH)):
        for place in (path, key_or_path(environment, ConfigError)):
            try:
                found.append(read_key(place, RadvitError) if isinstance(place, Path) else place)
            except RadvitError:
                continue
    return tuple(key for key in found if key is not None)


def _vault_key(arguments: argparse.Namespace, new: bool) -> KeyProvider:
    from radvit.vault.keys import KeyFile, choose

    chosen = _named(arguments, new) or choose(arguments.key)
    return _outside(chosen, arguments.vault) if isinstance(chosen, KeyFile) else chosen


def _named(arguments: argparse.Namespace, new: bool) -> KeyProvider | None:
    from radvit.vault.keys import KeyringKey

    if arguments.passphrase:
        return _passphrase(arguments, new)
    return KeyringKey(arguments.keyring) if arguments.keyring else None


def _outside(chosen: KeyProvider, vault: Path) -> KeyProvider:
    """A key file inside of the vault is refused: whoever copies the one has the other."""
    from radvit.vault.keys import KeyFile

    if isinstance(chosen, KeyFile) and chosen.path.resolve().is_relative_to(vault.resolve()):
        raise ConfigError(f"key file {chosen.path} lies inside of the vault; expected a place outside of it")
    return chosen


def _passphrase(arguments: argparse.Namespace, new: bool) -> KeyProvider:
    """Asked for on a terminal, twice where it is new; else the next line of standard input."""
    from radvit.vault.derivation import ARGON2ID, PBKDF2_SHA256
    from radvit.vault.keys import Passphrase

    kdf = PBKDF2_SHA256 if new and arguments.kdf == "pbkdf2" else ARGON2ID
    if not sys.stdin.isatty():
        return Passphrase(sys.stdin.readline().rstrip("\r\n"), kdf)
    words = getpass.getpass("new passphrase: " if new else "passphrase: ")
    if new and getpass.getpass("again: ") != words:
        raise ConfigError("the two passphrases differ; nothing was changed")
    return Passphrase(words, kdf)


def _check_kdf(arguments: argparse.Namespace, passphrase: bool) -> None:
    if arguments.kdf and not passphrase:
        raise ConfigError(f"--kdf {arguments.kdf} is for a new passphrase, and none is asked for")
