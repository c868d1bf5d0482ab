"""`radvit ...`: the tools that work on files."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radvit import __version__
from radvit.entry import guarded
from radvit.errors import SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.data.inspect import Summary


def phantom(arguments: argparse.Namespace) -> None:
    """Write a synthetic cohort."""
    from radvit.data.phantom.cohort import CohortSpec, write_cohort
    from radvit.terminal import bar

    size = "small" if arguments.small else "standard"
    spec = CohortSpec.preset(arguments.patients, arguments.seed, small=arguments.small, hard=arguments.hard)
    with bar(f"drawing {size} radiographs") as advance:
        print(write_cohort(arguments.output, spec, arguments.workers, advance).words())


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
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command. Exit code 0: done; 1: some inputs failed; 2: bad arguments, in one line."""
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    guarded(lambda: arguments.run(arguments))


if __name__ == "__main__":
    main()
