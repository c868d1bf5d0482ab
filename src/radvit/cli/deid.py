"""`radvit deid`: write de-identified copies, and show that they are."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.errors import ConfigError, RadvitError, SomeInputsFailedError
from radvit.plural import counted

if TYPE_CHECKING:
    from radvit.audit import AuditLog, Json
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
    one.add_argument(
        "output", type=_resolved, metavar="OUT", help="a folder outside of IN: new, empty, or of the same run"
    )
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
    from radvit.deid.destination import claim
    from radvit.deid.key import read_or_create_key
    from radvit.deid.report import write_report

    check_apart(arguments.input, arguments.output)
    _check_secrets(arguments)
    key = read_or_create_key(arguments.key)
    scrubber, people = _scrubber(arguments, key), _people(arguments, key)
    log, settings = default_log(arguments.audit), _settings(arguments, scrubber)
    claim(arguments.output, settings)
    report, ledger = _run(arguments, scrubber, settings, log, people)
    listed = _list_failures(arguments.output, ledger.failures)
    _tell(arguments.output, ledger, write_report(report, arguments.output), listed)


def _resolved(path: str) -> Path:
    return Path(path).resolve()  # so that even `.` has a name, beside which the list of files in quarantine goes


def _check_secrets(arguments: argparse.Namespace) -> None:
    """ConfigError where a key, the log or the map lies in the output, also where none was named."""
    from radvit.audit import place
    from radvit.deid import key
    from radvit.deid.destination import check_outside
    from radvit.vault import reid

    log = arguments.audit or Path(os.environ.get(place.LOG_ENVIRONMENT) or place.DEFAULT_PATH)
    secrets = {
        "pseudonym key": _place(arguments.key, key.ENVIRONMENT, key.DEFAULT_PATH),
        "audit log": log,
        "audit key": _place(None, place.KEY_ENVIRONMENT, log),  # beside the log where nothing is said
    }
    if arguments.map is not None:
        secrets["map"] = arguments.map
        secrets["map key"] = _place(arguments.map_key, reid.ENVIRONMENT, reid.DEFAULT_PATH)
    for what, path in secrets.items():
        if path is not None:
            check_outside(arguments.output, path, what)


def _place(given: Path | None, environment: str, default: Path) -> Path | None:
    """Where a key's file is; None where the environment holds the key itself."""
    from radvit.keyfile import key_or_path

    told = given or key_or_path(environment, ConfigError) or default
    return None if isinstance(told, bytes) else told


def _settings(arguments: argparse.Namespace, scrubber: FileScrubber) -> dict[str, Json]:
    """What decides what the copies hold, as the audit log and the output are told."""
    from radvit.deid.ledger import guards

    return {
        "profile": "basic",
        "options": sorted(option.code for option in scrubber.options),
        "key": scrubber.pseudonymizer.fingerprint,
        **asdict(guards(scrubber, bool(arguments.project))),
    }


def _run(
    arguments: argparse.Namespace,
    scrubber: FileScrubber,
    settings: Mapping[str, Json],
    log: AuditLog,
    people: ReidentificationMap | None,
) -> tuple[BatchReport, Ledger]:
    from radvit.deid.file_copy import sweep
    from radvit.deid.ledger import Ledger
    from radvit.origin import now

    ledger, started = Ledger(), now()
    begun = log.append("deid.begun", **settings, map=people is not None)
    try:
        _copy(arguments, scrubber, ledger, log, people)
    except RadvitError:
        log.append("deid.stopped", **asdict(ledger.files()))
        raise
    finally:
        sweep(arguments.output)
    ended = log.append("deid.ended", **asdict(ledger.files()))
    lines = begun.lines, ended.lines, ended.hash
    return _report(scrubber, bool(arguments.project), ledger, started, lines), ledger


def _copy(
    arguments: argparse.Namespace,
    scrubber: FileScrubber,
    ledger: Ledger,
    log: AuditLog,
    people: ReidentificationMap | None,
) -> None:
    """Write the copies, and keep account of each."""
    from radvit.deid.batch import Written, deidentify_folder
    from radvit.terminal import bar

    with ExitStack() as stack:
        lines, advance = stack.enter_context(log.batch()), stack.enter_context(bar("de-identifying", "files"))

        def done(outcome: Written | Failure) -> None:
            ledger.add(outcome, lines)
            if people is not None and isinstance(outcome, Written):
                for pseudonym, identity in outcome.identity.items():
                    people.add(pseudonym, identity)

        deidentify_folder(arguments.input, arguments.output, scrubber, arguments.workers, advance, done=done)


def _people(arguments: argparse.Namespace, key: bytes) -> ReidentificationMap | None:
    """The re-identification map, only where one is asked for."""
    from radvit.cli.vault_keys import other_keys
    from radvit.vault.keys import choose
    from radvit.vault.reid import DEFAULT_PATH, ENVIRONMENT, ReidentificationMap

    if arguments.map is None:
        if arguments.map_key is not None:
            raise ConfigError("--map-key without --map; expected both")
        return None
    provider = choose(arguments.map_key, ENVIRONMENT, DEFAULT_PATH)
    return ReidentificationMap.open(arguments.map, provider, (key, *other_keys()))


def _report(
    scrubber: FileScrubber, project: bool, ledger: Ledger, started: str, lines: tuple[int, int, str]
) -> BatchReport:
    from radvit import __version__
    from radvit.audit import os_user
    from radvit.deid.batch_report import AuditLines, BatchReport
    from radvit.deid.ledger import applied, guards
    from radvit.origin import git_commit, now

    return BatchReport(
        version=__version__,
        commit=git_commit(),
        started=started,
        ended=now(),
        user=os_user(),
        profile=PROFILE,
        key=scrubber.pseudonymizer.fingerprint,
        options=applied(scrubber.options),
        safeguards=guards(scrubber, project),
        files=ledger.files(),
        written=ledger.written_counts(),
        modalities=ledger.modalities(),
        headers=ledger.headers(),
        pixels=ledger.pixel_counts(),
        quarantined=ledger.quarantined(),
        failed=ledger.failed(),
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


def _tell(output: Path, ledger: Ledger, page: Path, listed: Path) -> None:
    """What was done, in some lines; SomeInputsFailedError where files were not written."""
    counts, pixels, files = ledger.written_counts(), ledger.pixel_counts(), ledger.files()
    images, patients = counted(counts.images, "image"), counted(counts.patients, "patient")
    print(f"{images} of {patients}, {counted(counts.studies, 'study', 'studies')}, written to {output}")
    regions, searched = counted(pixels.regions, "region"), counted(pixels.searched, "image")
    print(f"{regions} of text blanked in {pixels.blanked:,} of {searched} searched")
    if ledger.written:
        files_searched, sought = counted(ledger.written, "written file"), ledger.rescan().identifiers
        print(f"searched {files_searched} for {counted(sought, 'identifier')}: none found")
    print(f"report: {page}")
    for failure in ledger.failures[:MOST_SHOWN]:
        print(f"{failure.path}: {failure.reason}: {failure.message}", file=sys.stderr)
    rest = len(ledger.failures) - MOST_SHOWN
    if rest > 0:
        print(f"... and {rest} more", file=sys.stderr)
    if ledger.failures:
        raise SomeInputsFailedError(
            f"{counted(len(ledger.failures), 'file')} not written, "
            f"{files.quarantined:,} in quarantine, {files.failed:,} failed; "
            f"{listed} says which and why (it holds file names: keep it with the originals)"
        )


def _list_failures(output: Path, failures: list[Failure]) -> Path:
    """Write the operator's list, or take an earlier one away where there is nothing to list; returns its path."""
    from radvit.deid.destination import quarantine_list

    listed = quarantine_list(output)
    if failures:
        write_quarantine(listed, failures)
    else:
        listed.unlink(missing_ok=True)
    return listed


def write_quarantine(path: Path, failures: list[Failure]) -> None:
    """The operator's list, for the owner alone: number, file, reason, message. Names keep their bytes."""
    from radvit.deid.destination import write_whole

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("number", "file", "reason", "message"))
    for number, failure in enumerate(failures, 1):
        writer.writerow((number, failure.path.as_posix(), failure.reason, failure.message))
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"), mode=0o600)


def _options_help() -> str:
    from radvit.deid.options import DEFAULT, Option

    lines = [
        f"  {option.slug:24} {option.code}  {option.words}{'  (in force by default)' if option in DEFAULT else ''}"
        for option in Option
    ]
    return "\n".join(["options (PS3.15 Annex E.3):", *lines])
