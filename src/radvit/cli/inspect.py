"""`radvit inspect`: show what is in a file or folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from radvit.cli.commands import Commands
from radvit.errors import SomeInputsFailedError

if TYPE_CHECKING:
    from radvit.data.inspect import Summary


def add(commands: Commands) -> None:
    """The command line."""
    one = commands.add_parser("inspect", help="show what is in a DICOM file or folder, without identity")
    one.add_argument("path", type=Path, metavar="PATH")
    one.set_defaults(run=inspect)


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
