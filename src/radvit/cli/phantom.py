"""`radvit phantom`: write a synthetic cohort."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from radvit.cli.commands import Commands


def add(commands: Commands) -> None:
    """The command line."""
    words = "write a synthetic cohort of chest radiographs as DICOM files"
    one = commands.add_parser("phantom", help=words, description=f"{words.capitalize()}: docs/phantom.md.")
    one.add_argument(
        "output", type=Path, metavar="OUT", help="a folder: new, empty, or of an earlier phantom, which goes"
    )
    one.add_argument("--patients", type=int, default=200, metavar="N", help="default 200")
    one.add_argument("--seed", type=int, default=0, metavar="N", help="default 0; the same seed gives the same bytes")
    one.add_argument("--small", action="store_true", help="images of about 1024 px, quick to write")
    one.add_argument("--hard", action="store_true", help="small, subtle nodules alone")
    one.add_argument("--collimated", type=float, default=0.0, metavar="SHARE", help="of images with empty borders")
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    one.set_defaults(run=phantom)


def phantom(arguments: argparse.Namespace) -> None:
    """Write a synthetic cohort."""
    from radvit.data.phantom import CohortSpec, write_cohort
    from radvit.terminal import bar

    size = "small" if arguments.small else "standard"
    knobs = {"small": arguments.small, "hard": arguments.hard, "collimated": arguments.collimated}
    spec = CohortSpec.preset(arguments.patients, arguments.seed, **knobs)
    with bar(f"drawing {size} radiographs") as advance:
        made = write_cohort(arguments.output, spec, arguments.workers, advance)
    print(
        f"{arguments.output}: {made.patients} patients, {made.studies} studies ({made.positive_studies} with nodules), "
        f"{made.images} images, {made.lesions} nodules"
    )
