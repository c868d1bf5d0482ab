"""`radvit vault`: keep files encrypted."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.errors import ConfigError, SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.vault.keys import KeyProvider
    from radvit.vault.store import Vault

DETAILS = ("kind", "patient", "study", "modality", "date")


def add(top: Commands) -> None:
    """The command line."""
    vault = top.add_parser("vault", help="keep files encrypted")
    commands = vault.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words)
        one.add_argument("vault", type=Path, metavar="DIR")
        how = one.add_mutually_exclusive_group()
        how.add_argument("--key", type=Path, help="key file; else RADVIT_VAULT_KEY, else .radvit/vault.key")
        how.add_argument("--passphrase", action="store_true", help="ask for a passphrase, or read it from a pipe")
        one.set_defaults(run=run)
        return one

    command("init", vault_init, "make a vault, and its key file if missing")
    put = command("put", vault_put, "encrypt files into a vault")
    put.add_argument("files", type=Path, nargs="+", metavar="FILE")
    get = command("get", vault_get, "decrypt an object into a new file")
    get.add_argument("id", metavar="ID")
    get.add_argument("output", type=Path, metavar="OUT")
    shown = command("list", vault_list, "show what a vault holds")
    for one in (put, shown):
        for name in DETAILS:
            one.add_argument(f"--{name}", help="as `radvit deid` writes it" if name in ("patient", "study") else None)
    command("verify", vault_verify, "check every object of a vault")


def vault_init(arguments: argparse.Namespace) -> None:
    """Make a vault."""
    from radvit.vault.store import Vault

    Vault.init(arguments.vault, provider(arguments, new=True))
    print(f"vault made at {arguments.vault}")


def vault_put(arguments: argparse.Namespace) -> None:
    """Encrypt files into a vault; one line an object: its id and the file."""
    absent = [path for path in arguments.files if not path.is_file()]
    if absent:
        raise ConfigError(f"{absent[0]} is no file; nothing was put")
    vault = opened_vault(arguments)
    for path in arguments.files:
        print(vault.put(path, **details(arguments)), path, flush=True)


def vault_get(arguments: argparse.Namespace) -> None:
    """Decrypt an object into a new file."""
    opened_vault(arguments).get(arguments.id, arguments.output)
    print(f"written to {arguments.output}")


def vault_list(arguments: argparse.Namespace) -> None:
    """Show a vault's catalogue."""
    from radvit.terminal import table

    entries = opened_vault(arguments).list(**details(arguments))
    rows = [(entry.id, str(entry.size), *(getattr(entry.details, name) for name in DETAILS)) for entry in entries]
    table([("id", "bytes", *DETAILS), *rows])


def vault_verify(arguments: argparse.Namespace) -> None:
    """Decrypt every object of a vault and compare it with the catalogue."""
    from radvit.terminal import bar

    vault = opened_vault(arguments)
    with bar("verifying", "objects") as advance:
        faults = vault.verify(advance)
    for fault in faults:
        print(f"{fault.id}: {fault.reason}", file=sys.stderr)
    if faults:
        raise SomeInputsFailedError(f"{len(faults)} objects are not as they were put; they are named above")
    print("every object is whole")


def opened_vault(arguments: argparse.Namespace) -> Vault:
    """The vault that a command names."""
    from radvit.vault.store import Vault

    return Vault(arguments.vault, provider(arguments))


def provider(arguments: argparse.Namespace, new: bool = False) -> KeyProvider:
    """What opens the vault. A key file inside of the vault is refused: whoever copies the one has the other."""
    from radvit.vault.keys import KeyFile, Passphrase, choose

    if arguments.passphrase:
        return Passphrase(passphrase(new))
    chosen = choose(arguments.key)
    if isinstance(chosen, KeyFile) and chosen.path.resolve().is_relative_to(arguments.vault.resolve()):
        raise ConfigError(f"key file {chosen.path} lies inside of the vault; expected a place outside of it")
    return chosen


def passphrase(new: bool) -> str:
    """Asked for on a terminal, twice for a new vault; else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    words = getpass.getpass("passphrase: ")
    if new and getpass.getpass("again: ") != words:
        raise ConfigError("the two passphrases differ; no vault was made")
    return words


def details(arguments: argparse.Namespace) -> dict[str, str]:
    """The options of DETAILS that were given."""
    return {name: getattr(arguments, name) for name in DETAILS if getattr(arguments, name) is not None}
