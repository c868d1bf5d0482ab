"""`radvit deid`: write de-identified copies, and show that they are."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.errors import ConfigError, SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.audit import AuditLog
    from radvit.deid.batch import Failure
    from radvit.deid.batch_report import BatchReport
    from radvit.deid.file_copy import FileScrubber
    from radvit.deid.ledger import Ledger

PROFILE = "PS3.15 Basic Application Level Confidentiality Profile"
MOST_SHOWN = 10  # quarantined files that the terminal names


def add(commands: Commands) -> None:
    """The command line."""
    one = commands.add_parser(
        "deid",
        help="write de-identified copies of DICOM files",
        description=f"Write de-identified copies by the {PROFILE} and the options in force.",
        epilog=_options_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("input", type=Path, metavar="IN", help="a file, a folder, or a DICOMDIR")
    one.add_argument("output", type=Path, metavar="OUT", help="a folder outside of IN")
    one.add_argument("--key", type=Path, help="key file; else RADVIT_DEID_KEY, else .radvit/deid.key, made if missing")
    one.add_argument("--option", action="append", default=[], metavar="NAME", help="an option to add; see below")
    one.add_argument("--without", action="append", default=[], metavar="NAME", help="an option to leave out")
    one.add_argument(
        "--allow-unfound", action="store_true", help="write images that must hold text where none is found"
    )
    one.add_argument(
        "--quick", action="store_true", help="look for text in the pixels by its strokes alone, without OCR"
    )
    one.add_argument("--trust-header", action="store_true", help="leave out where BurnedInAnnotation says NO")
    one.add_argument("--audit", type=Path, metavar="LOG", help="else RADVIT_AUDIT_LOG, else .radvit/audit.jsonl")
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    one.set_defaults(run=deid)


def deid(arguments: argparse.Namespace) -> None:
    """Write de-identified copies, their report, and a line of the audit log for each."""
    from radvit.audit import default_log
    from radvit.deid.batch import check_apart
    from radvit.deid.report import write_report

    check_apart(arguments.input, arguments.output)
    scrubber, log = _scrubber(arguments), default_log(arguments.audit)
    report, ledger = _run(arguments, scrubber, log)
    page = write_report(report, arguments.output)
    _tell(arguments.output, ledger, page)


def _run(arguments: argparse.Namespace, scrubber: FileScrubber, log: AuditLog) -> tuple[BatchReport, Ledger]:
    from radvit.deid.batch import deidentify_folder
    from radvit.deid.ledger import Ledger
    from radvit.provenance import now
    from radvit.terminal import bar

    ledger, started = Ledger(), now()
    options = sorted(option.code for option in scrubber.options)
    key = scrubber.pseudonymizer.fingerprint
    begun = log.append("deid.begun", profile="basic", options=options, key=key)
    with ExitStack() as stack:
        lines, advance = stack.enter_context(log.batch()), stack.enter_context(bar("de-identifying", "files"))
        deidentify_folder(
            arguments.input,
            arguments.output,
            scrubber,
            arguments.workers,
            advance,
            done=lambda outcome: ledger.add(outcome, lines),
        )
    ended = log.append("deid.ended", read=ledger.read, written=ledger.written, quarantined=len(ledger.failures))
    return _report(scrubber, ledger, started, (begun.lines, ended.lines, ended.hash)), ledger


def _report(scrubber: FileScrubber, ledger: Ledger, started: str, lines: tuple[int, int, str]) -> BatchReport:
    import getpass

    from radvit import __version__
    from radvit.deid.batch_report import AuditLines, BatchReport
    from radvit.deid.ledger import applied
    from radvit.provenance import git_commit, now

    return BatchReport(
        version=__version__,
        commit=git_commit(),
        started=started,
        ended=now(),
        user=getpass.getuser(),
        profile=PROFILE,
        key=scrubber.pseudonymizer.fingerprint,
        options=applied(scrubber.options),
        files=ledger.files(),
        written=ledger.written_counts(),
        modalities=ledger.modalities(),
        headers=ledger.headers(),
        pixels=ledger.pixel_counts(),
        quarantined=ledger.refused(),
        rescan=ledger.rescan(),
        audit=AuditLines(*lines),
    )


def _scrubber(arguments: argparse.Namespace) -> FileScrubber:
    from radvit.deid.burned_in import FOR_RELEASE, Depth, Mode
    from radvit.deid.file_copy import FileScrubber
    from radvit.deid.key import read_or_create_key
    from radvit.deid.options import parse_options
    from radvit.deid.pseudonym import Pseudonymizer

    if arguments.workers < 0:
        raise ConfigError(f"--workers {arguments.workers}; expected 0 or more")
    options = parse_options(arguments.option, arguments.without)
    key = read_or_create_key(arguments.key)
    depth = Depth.QUICK if arguments.quick else Depth.THOROUGH
    mode = Mode.SUSPECT if arguments.trust_header else Mode.ALWAYS
    burned_in = replace(FOR_RELEASE, mode=mode, depth=depth, allow_none=arguments.allow_unfound)
    return FileScrubber(Pseudonymizer(key), options=options, burned_in=burned_in)


def _tell(output: Path, ledger: Ledger, page: Path) -> None:
    """What was done, in some lines; SomeInputsFailedError where files are in quarantine."""
    counts, pixels = ledger.written_counts(), ledger.pixel_counts()
    print(f"{counts.images} images of {counts.patients} patients, {counts.studies} studies, written to {output}")
    print(f"{pixels.regions} regions of text blanked in {pixels.blanked} of {pixels.searched} images searched")
    if ledger.written:
        print(f"searched {ledger.written} written files for {ledger.rescan().identifiers} identifiers: none found")
    print(f"report: {page}")
    listed = output.with_name(f"{output.name}.quarantine.csv")
    listed.unlink(missing_ok=True)
    if ledger.failures:
        write_quarantine(listed, ledger.failures)
        for failure in ledger.failures[:MOST_SHOWN]:
            print(f"{failure.path}: {failure.reason}: {failure.message}", file=sys.stderr)
        rest = len(ledger.failures) - MOST_SHOWN
        if rest > 0:
            print(f"... and {rest} more", file=sys.stderr)
        raise SomeInputsFailedError(
            f"{len(ledger.failures)} files were not written; {listed} says which and why "
            "(it holds file names: keep it with the originals)"
        )


def write_quarantine(path: Path, failures: list[Failure]) -> None:
    """The operator's list, for the owner alone: number, file, reason, message."""
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("number", "file", "reason", "message"))
        for number, failure in enumerate(failures, 1):
            writer.writerow((number, failure.path.as_posix(), failure.reason, failure.message))
    part.replace(path)


def _options_help() -> str:
    from radvit.deid.options import DEFAULT, Option

    lines = [
        f"  {option.slug:24} {option.code}  {option.words}{'  (in force by default)' if option in DEFAULT else ''}"
        for option in Option
    ]
    return "\n".join(["options (PS3.15 Annex E.3):", *lines])
