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
    from radvit.vault.reid import ReidentificationMap

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
    one.add_argument("--project", default="", metavar="NAME", help="pseudonyms of two projects can't be linked")
    one.add_argument("--option", action="append", default=[], metavar="NAME", help="an option to add; see below")
    one.add_argument("--without", action="append", default=[], metavar="NAME", help="an option to leave out")
    one.add_argument(
        "--allow-unfound", action="store_true", help="write images that must hold text where none is found"
    )
    one.add_argument(
        "--quick", action="store_true", help="look for text in the pixels by its strokes alone, without OCR"
    )
    one.add_argument("--trust-header", action="store_true", help="leave out where BurnedInAnnotation says NO")
    one.add_argument("--map", type=Path, metavar="FILE", help="keep what the pseudonyms stand for, encrypted, there")
    one.add_argument("--map-key", type=Path, metavar="FILE", help="its key; else RADVIT_MAP_KEY, else .radvit/map.key")
    one.add_argument("--audit", type=Path, metavar="LOG", help="else RADVIT_AUDIT_LOG, else .radvit/audit.jsonl")
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    one.set_defaults(run=deid)


def deid(arguments: argparse.Namespace) -> None:
    """Write de-identified copies, their report, and a line of the audit log for each."""
    from radvit.audit import default_log
    from radvit.deid.batch import check_apart
    from radvit.deid.key import read_or_create_key
    from radvit.deid.report import write_report

    check_apart(arguments.input, arguments.output)
    key = read_or_create_key(arguments.key)
    scrubber, people = _scrubber(arguments, key), _people(arguments, key)
    report, ledger = _run(arguments, scrubber, default_log(arguments.audit), people)
    page = write_report(report, arguments.output)
    _tell(arguments.output, ledger, page)


def _run(
    arguments: argparse.Namespace, scrubber: FileScrubber, log: AuditLog, people: ReidentificationMap | None
) -> tuple[BatchReport, Ledger]:
    from radvit.deid.batch import Written, deidentify_folder
    from radvit.deid.ledger import Ledger
    from radvit.provenance import now
    from radvit.terminal import bar

    ledger, started = Ledger(), now()
    options = sorted(option.code for option in scrubber.options)
    key = scrubber.pseudonymizer.fingerprint
    begun = log.append("deid.begun", profile="basic", options=options, key=key, map=people is not None)
    with ExitStack() as stack:
        lines, advance = stack.enter_context(log.batch()), stack.enter_context(bar("de-identifying", "files"))

        def done(outcome: Written | Failure) -> None:
            ledger.add(outcome, lines)
            if people is not None and isinstance(outcome, Written):
                for pseudonym, identity in outcome.identity.items():
                    people.add(pseudonym, identity)

        deidentify_folder(arguments.input, arguments.output, scrubber, arguments.workers, advance, done=done)
    ended = log.append("deid.ended", read=ledger.read, written=ledger.written, quarantined=len(ledger.failures))
    return _report(scrubber, ledger, started, (begun.lines, ended.lines, ended.hash)), ledger


def _people(arguments: argparse.Namespace, key: bytes) -> ReidentificationMap | None:
    """The re-identification map, only where one is asked for."""
    from radvit.vault.keys import choose
    from radvit.vault.reid import DEFAULT_PATH, ENVIRONMENT, ReidentificationMap

    if arguments.map is None:
        if arguments.map_key is not None:
            raise ConfigError("--map-key without --map; expected both")
        return None
    if arguments.map.resolve().is_relative_to(arguments.output.resolve()):
        raise ConfigError(f"map {arguments.map} lies inside of the output; expected a place that isn't passed on")
    return ReidentificationMap.open(arguments.map, choose(arguments.map_key, ENVIRONMENT, DEFAULT_PATH), (key,))


def _report(scrubber: FileScrubber, ledger: Ledger, started: str, lines: tuple[int, int, str]) -> BatchReport:
    from radvit import __version__
    from radvit.audit import os_user
    from radvit.deid.batch_report import AuditLines, BatchReport
    from radvit.deid.ledger import applied
    from radvit.provenance import git_commit, now

    return BatchReport(
        version=__version__,
        commit=git_commit(),
        started=started,
        ended=now(),
        user=os_user(),
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


def _scrubber(arguments: argparse.Namespace, key: bytes) -> FileScrubber:
    from radvit.deid.burned_in import FOR_RELEASE, Depth, Mode
    from radvit.deid.file_copy import FileScrubber
    from radvit.deid.options import parse_options
    from radvit.deid.pseudonym import Pseudonymizer

    if arguments.workers < 0:
        raise ConfigError(f"--workers {arguments.workers}; expected 0 or more")
    options = parse_options(arguments.option, arguments.without)
    depth = Depth.QUICK if arguments.quick else Depth.THOROUGH
    mode = Mode.SUSPECT if arguments.trust_header else Mode.ALWAYS
    burned_in = replace(FOR_RELEASE, mode=mode, depth=depth, allow_none=arguments.allow_unfound)
    keep = arguments.map is not None
    return FileScrubber(Pseudonymizer(key, arguments.project), options=options, burned_in=burned_in, keep_identity=keep)


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
