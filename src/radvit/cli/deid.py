"""`radvit deid`: write de-identified copies."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.errors import SomeInputsFailedError


def add(commands: Commands) -> None:
    """The command line."""
    one = commands.add_parser("deid", help="write de-identified copies of DICOM files")
    one.add_argument("input", type=Path, metavar="IN")
    one.add_argument("output", type=Path, metavar="OUT")
    one.add_argument("--key", type=Path, help="key file; else RADVIT_DEID_KEY, else .radvit/deid.key, made if missing")
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    one.set_defaults(run=deid)


def deid(arguments: argparse.Namespace) -> None:
    """Write de-identified copies."""
    from radvit.deid.batch import deidentify_folder
    from radvit.deid.file_copy import FileScrubber
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
