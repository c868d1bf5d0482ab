"""How the benchmark runs radvit: the one place that says with which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom

from radvit.deid.batch import Failure, deidentify_folder
from radvit.deid.burned_in import FOR_RELEASE
from radvit.deid.file_copy import FileScrubber
from radvit.deid.options import Option, Options, parse_options
from radvit.deid.pseudonym import Pseudonymizer

KEY = bytes(range(32))  # of nobody: the patients are invented
OPTIONS: Options = parse_options([Option.CLEAN_DESCRIPTORS.slug, Option.SAFE_PRIVATE.slug])
OPTION_NAMES = frozenset(option.slug for option in OPTIONS)
_NAMED = ("StudyInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Outputs:
    """mapping: input to output, both relative. failures: inputs that were not written."""

    mapping: Mapping[str, Path]
    failures: tuple[Failure, ...]


def scrubber(search_pixels: bool = True) -> FileScrubber:
    """As `radvit deid` makes it, the basic profile with these options. Pixels are searched in every file or in none."""
    options = OPTIONS if search_pixels else OPTIONS - {Option.CLEAN_PIXELS}
    burned_in = replace(FOR_RELEASE, allow_none=True)
    return replace(FileScrubber(Pseudonymizer(KEY), options=options), burned_in=burned_in)


def run_radvit(originals: Path, outputs: Path, files: tuple[str, ...], workers: int = 0) -> Outputs:
    """De-identify a folder as `radvit deid` does. workers: processes; 0 works in this one."""
    summary = deidentify_folder(originals, outputs, scrubber(), workers)
    return Outputs({file: _output_of(originals / file) for file in files}, summary.failures)


def _output_of(path: Path) -> Path:
    """Where `radvit deid` writes a file: OUT/<study>/<image>.dcm, by their pseudonyms."""
    original = pydicom.dcmread(path, specific_tags=list(_NAMED))
    study, image = (Pseudonymizer(KEY).uid(str(original[name].value)) for name in _NAMED)
    return Path(study) / f"{image}.dcm"
