"""`radvit ...`: the tools that work on files."""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radvit import __version__
from radvit.entry import guarded
from radvit.errors import ConfigError, DataError, SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.data.inspect import Summary
    from radvit.vault.keys import KeyProvider
    from radvit.vault.store import Vault

DETAILS = ("kind", "patient", "study", "modality", "date")


def phantom(arguments: argparse.Namespace) -> None:
    """Write a synthetic cohort."""
    from radvit.data.phantom import CohortSpec, write_cohort
    from radvit.terminal import bar

    size = "small" if arguments.small else "standard"
    spec = CohortSpec.preset(arguments.patients, arguments.seed, small=arguments.small, hard=arguments.hard)
    with bar(f"drawing {size} radiographs") as advance:
        made = write_cohort(arguments.output, spec, arguments.workers, advance)
    print(
        f"{arguments.output}: {made.patients} patients, {made.studies} studies ({made.positive_studies} with nodules), "
        f"{made.images} images, {made.lesions} nodules"
    )


def deid(arguments: argparse.Namespace) -> None:
    """Write de-identified copies."""
    from radvit.deid.batch import FileScrubber, deidentify_folder
    from radvit.deid.key import read_or_create_key
    from radvit.deid.pseudonym import Pseudonymizer
    from radvit.terminal import bar

    scrubber = FileScrubber(Pseudonymizer(read_or_create_key(arguments.key)))
    with bar("de-identifying", "files") as advance:
        summary = deidentify_folder(arguments.input, arguments.output, scrubber, arguments.workers, advance)
    for failure in summary.failures:
        print(f"{failure.path}: {failure.reason}: {failure.message}", file=sys.stderr)
    print(f"{summary.written} files written to {arguments.output}")
    if summary.failures:
        raise SomeInputsFailedError(f"{len(summary.failures)} files were not written; they are named above")


def inspect(arguments: argparse.Namespace) -> None:
    """Show what is in a folder."""
    from radvit.data.inspect import summaries
    from radvit.terminal import table

    header = (
        "file",
        "modality",
        "body part",
        "view",
        "size px",
        "bits",
        "photometric",
        "syntax",
        "spacing mm",
        "refused",
    )
    rows = [row(summary) for summary in summaries(arguments.path)]
    table([header, *rows])
    refused = sum(bool(cells[-1]) for cells in rows)
    if refused:
        raise SomeInputsFailedError(f"{refused} of {len(rows)} files would be refused")


def row(summary: Summary) -> tuple[str, ...]:
    """A file's summary as cells of a table. The file's own name is shown: it is the operator's."""
    if summary.refused:
        return (str(summary.path), *[""] * 8, f"{summary.refused}: {summary.message}")
    size = "x".join(map(str, summary.size_px or ())) + (f" x{summary.frames}" if summary.frames > 1 else "")
    spacing = "none" if summary.spacing_mm is None else f"{summary.spacing_mm[0]:.3g} ({summary.plane.value})"
    words = (summary.modality, summary.body_part, summary.view, size, summary.bits, summary.photometric)
    return (str(summary.path), *words, summary.syntax, spacing, "")


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


def experiment(arguments: argparse.Namespace) -> None:
    """Write results.json of an experiment from evaluations of several seeds."""
    from radvit.evaluation.aggregate import write_results
    from radvit.terminal import table

    config = arguments.config
    if not config.is_file():
        raise DataError(f"{config} does not exist; expected the config.yaml of a run")
    results = write_results(arguments.folder, arguments.evaluations, config)
    rows = [
        (name, *(f"{m[k]:.4f}" if m[k] is not None else "" for k in ("mean", "sd")))
        for name, m in results["metrics"].items()
    ]
    table([(f"{len(results['seeds'])} seeds", "mean", "sd"), *rows])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="radvit", description=__doc__)
    top.add_argument("--version", action="version", version=f"radvit {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    cores = os.cpu_count() or 1

    one = commands.add_parser("phantom", help="write a synthetic cohort of chest radiographs as DICOM files")
    one.add_argument("output", type=Path, metavar="OUT")
    one.add_argument("--patients", type=int, default=200)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--small", action="store_true", help="images of about 1024 px, quick to write")
    one.add_argument("--hard", action="store_true", help="small, subtle nodules alone")
    one.add_argument("--workers", type=int, default=cores, help="processes")
    one.set_defaults(run=phantom)

    one = commands.add_parser("deid", help="write de-identified copies of DICOM files")
    one.add_argument("input", type=Path, metavar="IN")
    one.add_argument("output", type=Path, metavar="OUT")
    one.add_argument("--key", type=Path, help="key file; else RADVIT_DEID_KEY, else .radvit/deid.key, made if missing")
    one.add_argument("--workers", type=int, default=cores, help="processes")
    one.set_defaults(run=deid)

    one = commands.add_parser("inspect", help="show what is in a DICOM file or folder, without identity")
    one.add_argument("path", type=Path, metavar="PATH")
    one.set_defaults(run=inspect)

    one = commands.add_parser("vault", help="keep files encrypted")
    add_vault_commands(one.add_subparsers(title="commands", required=True, metavar="COMMAND"))
    one = commands.add_parser("experiment", help="mean and deviation over the seeds of a recipe, as results.json")
    one.add_argument("folder", type=Path, metavar="EXPERIMENT", help="such as experiments/pneumoniamnist")
    one.add_argument("evaluations", type=Path, nargs="+", metavar="EVALUATION", help="folders that evaluate.py wrote")
    one.add_argument("--config", type=Path, required=True, help="the config.yaml of one of the runs")
    one.set_defaults(run=experiment)
    return top


def add_vault_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `radvit vault`."""

    def add(name: str, run: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words)
        one.add_argument("vault", type=Path, metavar="DIR")
        how = one.add_mutually_exclusive_group()
        how.add_argument("--key", type=Path, help="key file; else RADVIT_VAULT_KEY, else .radvit/vault.key")
        how.add_argument("--passphrase", action="store_true", help="ask for a passphrase, or read it from a pipe")
        one.set_defaults(run=run)
        return one

    add("init", vault_init, "make a vault, and its key file if missing")
    put = add("put", vault_put, "encrypt files into a vault")
    put.add_argument("files", type=Path, nargs="+", metavar="FILE")
    get = add("get", vault_get, "decrypt an object into a new file")
    get.add_argument("id", metavar="ID")
    get.add_argument("output", type=Path, metavar="OUT")
    shown = add("list", vault_list, "show what a vault holds")
    for one in (put, shown):
        for name in DETAILS:
            one.add_argument(f"--{name}", help="as `radvit deid` writes it" if name in ("patient", "study") else None)
    add("verify", vault_verify, "check every object of a vault")


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command. Exit code 0: done; 1: some inputs failed; 2: bad arguments, in one line."""
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    guarded(lambda: arguments.run(arguments))


if __name__ == "__main__":
    main()
