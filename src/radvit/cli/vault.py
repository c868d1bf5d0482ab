"""`radvit vault`: keep files encrypted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.cli.vault_keys import (
    FOR_MAP,
    add_kdf,
    add_key,
    add_new_key,
    first_provider,
    map_provider,
    new_provider,
    other_keys,
    provider,
)
from radvit.errors import ConfigError, RadvitError, SomeInputsFailedError
from radvit.plural import counted

if TYPE_CHECKING:
    from radvit.vault.catalogue import Details
    from radvit.vault.store import Fault, Vault

DETAILS = {
    "kind": "dicom, pdf, json, ...: what the ending of a file says of it",
    "patient": "as `radvit deid` writes it",
    "study": "as `radvit deid` writes it",
    "modality": "as DICOM has it: DX, CT, ...",
    "date": "YYYYMMDD",
}
MAP = "the file that `radvit deid --map` keeps"
IDS_A_LINE = 5000  # of the audit log

Run = Callable[[argparse.Namespace], None]


def add(top: Commands) -> None:
    """The command line."""
    vault = top.add_parser("vault", help="keep files encrypted")
    commands = vault.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Run, words: str, place: str = "DIR", what: str = "the vault"
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        one.add_argument("vault", type=Path, metavar=place, help=what)
        one.set_defaults(run=run)
        return one

    made = command("init", vault_init, "make a vault, and its key file if missing")
    put = command("put", vault_put, "encrypt files, and all files below folders, into a vault")
    put.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files, and folders with all below them")
    put.add_argument("--from-header", action="store_true", help="take the rest from de-identified DICOM headers")
    get = command("get", vault_get, "decrypt an object into a new file")
    get.add_argument("id", metavar="ID", help="of the object, as `put` and `list` print it")
    get.add_argument("output", type=Path, metavar="OUT", help="a new file")
    shown = command("list", vault_list, "show what a vault holds")
    export = command("export", vault_export, "decrypt a selection into a new folder, with a manifest")
    export.add_argument("output", type=Path, metavar="OUT", help="a new folder")
    verify = command("verify", vault_verify, "check every object of a vault")
    verify.add_argument("--quick", action="store_true", help="compare the encrypted files' hashes, decrypt nothing")
    rotate = command("rotate", vault_rotate, "give a vault, or a re-identification map, a new key")
    rotate.add_argument("--leave-damaged", action="store_true", help="end although some objects can't be rewrapped")
    for one in (made, put, get, shown, export, verify, rotate):
        add_key(one)
    for one in (put, shown, export):
        for name, words in DETAILS.items():
            one.add_argument(f"--{name}", help=words)
    for one in (shown, export):
        one.add_argument("--from", dest="since", metavar="DATE", help="first day, YYYYMMDD")
        one.add_argument("--to", dest="until", metavar="DATE", help="last day, YYYYMMDD")
    add_kdf(made)
    add_new_key(rotate)
    lookup = command(
        "lookup", map_lookup, "show who a pseudonym stands for, and write that into the audit log", "MAP", MAP
    )
    lookup.add_argument("pseudonym", metavar="PSEUDONYM", help="of a patient, as `radvit deid` writes it")
    lookup.add_argument("--reason", required=True, metavar="TEXT", help="why; it goes into the audit log")
    add_key(lookup, FOR_MAP)
    tls = command(
        "tls",
        make_tls,
        "make, or renew, certificates for services that trust each other alone",
        what="a folder for them",
    )
    tls.add_argument("--host", action="append", required=True, help="name or address of the server; may be repeated")
    tls.add_argument("--days", type=int, default=365, help="how long the certificates are good")


def vault_init(arguments: argparse.Namespace) -> None:
    """Make a vault."""
    from radvit.vault.store import Vault

    Vault.init(arguments.vault, first_provider(arguments))
    print(f"vault made at {arguments.vault}")


def vault_put(arguments: argparse.Namespace) -> None:
    """Encrypt files into a vault. A file that fails doesn't stop the rest."""
    files = files_of(arguments.files, arguments.vault)
    details(chosen(arguments, DETAILS), files[0])  # a wrong option is told before anything is put
    vault = opened_vault(arguments)
    ids: list[str] = []
    try:
        put_each(vault, files, arguments, ids)
    finally:
        audit("vault.put", ids)
    if len(ids) < len(files):
        raise SomeInputsFailedError(f"{counted(len(files) - len(ids), 'file')} not put, named above")


def put_each(vault: Vault, files: Sequence[Path], arguments: argparse.Namespace, ids: list[str]) -> None:
    """Put files, and print a line an object, its id and the file, once it is in the vault. Adds to the ids."""
    from radvit.terminal import bar

    known = chosen(arguments, DETAILS)
    lines_alone = len(files) == 1 or sys.stdout.isatty()
    with nullcontext(lambda done, total: None) if lines_alone else bar("putting", "files") as advance:
        for done, path in enumerate(files, 1):
            try:
                told = header_details(known, path) if arguments.from_header else details(known, path)
                ids.append(vault.put(path, told.kind, told.patient, told.study, told.modality, told.date))
                print(ids[-1], path, flush=True)
            except RadvitError as error:
                print(f"{path}: {error}", file=sys.stderr)
            advance(done, len(files))


def vault_get(arguments: argparse.Namespace) -> None:
    """Decrypt an object into a new file."""
    vault = opened_vault(arguments)
    audit("vault.get", [vault.entry(arguments.id).id])
    vault.get(arguments.id, arguments.output)
    print(f"written to {arguments.output}")


def vault_list(arguments: argparse.Namespace) -> None:
    """Show a vault's catalogue."""
    from radvit.terminal import table

    entries, faults = opened_vault(arguments).select(**filters(arguments))
    rows = [(entry.id, str(entry.size), *(getattr(entry.details, name) for name in DETAILS)) for entry in entries]
    table([("id", "bytes", *DETAILS), *rows])
    name_faults(faults)
    if faults:
        raise SomeInputsFailedError(f"{counted(len(faults), 'row')} changed, named above")


def vault_export(arguments: argparse.Namespace) -> None:
    """Decrypt a selection into a new folder."""
    from radvit.terminal import bar
    from radvit.vault.export import export

    vault = opened_vault(arguments)
    entries, changed = vault.select(**filters(arguments))
    name_faults(changed)
    if not entries:
        raise ConfigError("no object is selected; `radvit vault list` shows what there is")
    audit("vault.export", [entry.id for entry in entries])
    with bar("exporting", "objects") as advance:
        exported = export(vault, entries, arguments.output, advance)
    for object_id, reason in exported.faults:
        print(f"{object_id}: {reason}", file=sys.stderr)
    kept = f", {exported.kept} were there" if exported.kept else ""
    print(f"{counted(exported.written, 'object')} written to {arguments.output}{kept}")
    failed = len(changed) + len(exported.faults)
    if failed:
        raise SomeInputsFailedError(f"{counted(failed, 'object')} not written, named above")


def vault_verify(arguments: argparse.Namespace) -> None:
    """Compare every object of a vault with the catalogue."""
    from radvit.terminal import bar

    vault = opened_vault(arguments)
    with bar("verifying", "objects") as advance:
        faults = vault.verify(advance, arguments.quick)
    name_faults(faults)
    if faults:
        raise SomeInputsFailedError(f"{counted(len(faults), 'object')} not as put, named above")
    print("every object is as it was put" if arguments.quick else "every object is whole")


def vault_rotate(arguments: argparse.Namespace) -> None:
    """Give a vault or a map a new key."""
    from radvit.audit import default_log
    from radvit.terminal import bar
    from radvit.vault.rotation import rotate

    if arguments.vault.is_file():
        map_rotate(arguments)
        return
    old = provider(arguments)
    new = new_provider(arguments, old)
    default_log().append("vault.rotate")
    with bar("rotating", "steps") as advance:
        rotated = rotate(arguments.vault, old, new, advance, arguments.leave_damaged)
    name_faults(rotated.faults)
    if not rotated.done:
        words = "restore their files, or remove them and put them again, and run this again; or add --leave-damaged"
        raise SomeInputsFailedError(f"{counted(len(rotated.faults), 'object')} can't be rewrapped: {words}")
    print(f"{counted(rotated.rewrapped, 'object')} rewrapped; {arguments.vault} opens by the new key alone")


def map_rotate(arguments: argparse.Namespace) -> None:
    """Give a re-identification map a new key."""
    from radvit.audit import default_log
    from radvit.vault.reid import ReidentificationMap

    old = map_provider(arguments)
    new = new_provider(arguments, old)
    default_log().append("vault.rotate")
    people = ReidentificationMap.open(arguments.vault, old).rotate(new, other_keys())
    print(f"{people} people moved; {arguments.vault} opens by the new key alone")


def map_lookup(arguments: argparse.Namespace) -> None:
    """Show who a pseudonym stands for. The audit log is written first; if it can't be, nothing is shown."""
    from radvit.audit import default_log
    from radvit.vault.reid import ReidentificationMap

    if not arguments.reason.strip():
        raise ConfigError("--reason is empty; expected why the identity is needed")
    if not arguments.vault.is_file():
        raise ConfigError(f"{arguments.vault} is no file; expected a re-identification map")
    people = ReidentificationMap.open(arguments.vault, map_provider(arguments), other_keys())
    identity = people.find(arguments.pseudonym)
    found = identity is not None
    default_log().append("reid.lookup", pseudonym=arguments.pseudonym, reason=arguments.reason, found=found)
    if identity is None:
        raise SomeInputsFailedError(f"{arguments.pseudonym} is not in {arguments.vault}")
    for name, value in identity.items():
        print(f"{printable(name)}: {printable(value)}")


def make_tls(arguments: argparse.Namespace) -> None:
    """Make or renew certificates."""
    from radvit.vault.tls import make_certificates

    until = make_certificates(arguments.vault, arguments.host, arguments.days)
    print(f"certificates for {', '.join(arguments.host)} in {arguments.vault}, good until {until:%Y-%m-%d}")


def opened_vault(arguments: argparse.Namespace) -> Vault:
    """The vault that a command names."""
    from radvit.vault.store import Vault

    vault = Vault(arguments.vault, provider(arguments))
    if vault.ring.rotating:
        words = "is unfinished; run `radvit vault rotate` again"
        print(f"a rotation of {arguments.vault} {words}", file=sys.stderr)
    return vault


def files_of(paths: Sequence[Path], vault: Path) -> list[Path]:
    """The files named, and all files below the folders named, each once, in the order of names within a folder.

    Hidden files and folders below a folder, such as the notes of `radvit deid`, are passed over.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir() and not path.is_file():
            raise ConfigError(f"{path} is no file; nothing was put")
        if vault.resolve().is_relative_to(path.resolve()):
            raise ConfigError(f"the vault {vault} lies in {path}; expected a folder without it; nothing was put")
        below = sorted(file for file in path.rglob("*") if _is_shown(file, path)) if path.is_dir() else [path]
        found |= dict.fromkeys(below)
    if not found:
        raise ConfigError(f"{paths[0]} holds no file; nothing was put")
    return list(found)


def _is_shown(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(name.startswith(".") for name in file.relative_to(folder).parts)


def details(known: dict[str, str], path: Path) -> Details:
    """What the options say of a file; its kind by its ending, where they don't."""
    from radvit.vault.catalogue import Details
    from radvit.vault.kinds import kind_of

    return Details(**{"kind": kind_of(path.suffix), **known})


def header_details(known: dict[str, str], path: Path) -> Details:
    """What a file's own header says of it, if it is a DICOM file; options come first."""
    from dataclasses import replace

    from radvit.vault.from_header import details_of, is_dicom

    return replace(details_of(path), **known) if is_dicom(path) else details(known, path)


def chosen(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, str]:
    """The options of these names that were given."""
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def filters(arguments: argparse.Namespace) -> dict[str, str]:
    """What list and export select by."""
    from radvit.vault.catalogue import is_day

    days = chosen(arguments, ("since", "until"))
    for name, day in days.items():
        if not is_day(day):
            raise ConfigError(f"{'--from' if name == 'since' else '--to'} {day}; expected a day as YYYYMMDD")
    if len(days) == 2 and days["since"] > days["until"]:
        raise ConfigError(f"--from {days['since']} comes after --to {days['until']}")
    return chosen(arguments, DETAILS) | days


def audit(event: str, ids: Sequence[str]) -> None:
    """Write to the audit log how many objects, and their ids, in as many lines as so many ids need."""
    from radvit.audit import default_log

    log = default_log()
    for first in range(0, max(len(ids), 1), IDS_A_LINE):
        log.append(event, count=len(ids), objects=list(ids[first : first + IDS_A_LINE]))


def name_faults(faults: Sequence[Fault]) -> None:
    """A line a fault."""
    for fault in faults:
        print(f"{printable(fault.id)}: {fault.reason}", file=sys.stderr)


def printable(text: str) -> str:
    """Text from a header, with what could steer a terminal written as an escape."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
