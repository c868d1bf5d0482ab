"""Whose picture a file is, where its name tells it: most pictures that aren't DICOM say so nowhere else."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError
from radvit.records import Image

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PatientNames:
    """pattern: a regular expression that is searched in a file's relative path; its first group is the patient.

    None, or a path without a match: the patient stays the one that the file tells. Raises DataError.
    """

    pattern: str | None = None

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern or "()").groups
        except re.error as error:
            raise DataError(f"data.patients={self.pattern}: no regular expression ({error})") from error
        if groups < 1:
            raise DataError(
                f"data.patients={self.pattern}: no group; expected the patient in brackets: 'person([0-9]+)'"
            )

    def check(self, paths: Sequence[str]) -> None:
        """Say how many paths name their patient. Raises DataError where none does: the pattern is for other names."""
        named = sum(self.name(path) is not None for path in paths)
        if self.pattern and not named:
            raise DataError(f"data.patients={self.pattern} fits none of {len(paths)} files by its path")
        if self.pattern and named < len(paths):
            log.info("data.patients names the patient of %d of %d files; not of the others", named, len(paths))

    def name(self, path: str) -> str | None:
        """The patient as the path names him or her."""
        found = re.search(self.pattern, path) if self.pattern else None
        return found.group(1) if found else None

    def named(self, image: Image, path: str, pseudonymizer: Pseudonymizer) -> Image:
        """The image with the pseudonym of the patient that its path names."""
        name = self.name(path)
        return replace(image, header=replace(image.header, patient=pseudonymizer.patient(name))) if name else image
