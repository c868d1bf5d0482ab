"""Which study a file belongs to, by reading the first few elements of its header."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from radvit.data.picture_kinds import picture_kind
from radvit.data.pictures import content_uids, read_picture
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.limits import Limits
from radvit.dicom.parse import read_attributes
from radvit.dicom.read import read_header
from radvit.dicom.select import Selection
from radvit.errors import DicomReadError

_UID = re.compile(r"[0-9.]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """The pseudonymous study of a file, None where it names none, and whether the selection takes the file."""

    study: str | None
    selected: bool = True


@dataclass(frozen=True, slots=True)
class StudyIndex:
    """Files to pseudonymous studies; picklable, so that a process pool can do the reading."""

    pseudonymizer: Pseudonymizer
    limits: Limits = field(default_factory=Limits)
    selection: Selection = field(default_factory=Selection)

    def place(self, path: Path) -> Place:
        """Where a file belongs. One whose header can't be read counts as selected: the loader says what is wrong."""
        return Place(self.study_of(path), self._is_selected(path))

    def study_of(self, path: Path) -> str | None:
        """The pseudonym of a file's StudyInstanceUID, as the loader gives it; None where the file has none to give.

        Reads no pixels; about a millisecond a file.
        """
        try:
            uid = self._uid(path)
        except DicomReadError:  # the loader says later what is wrong
            return None
        return self.pseudonymizer.uid(uid) if _UID.match(uid) else None

    def _uid(self, path: Path) -> str:
        """The original StudyInstanceUID; that of a picture, which is a study of its own, follows from its content."""
        if picture_kind(path) is not None:
            return content_uids(path)[0]
        return str(read_attributes(path, ("StudyInstanceUID",), self.limits).get("StudyInstanceUID") or "").strip()

    def _is_selected(self, path: Path) -> bool:
        if not self.selection.rules:
            return True
        try:
            picture = picture_kind(path) is not None
            self.selection.check(read_picture(path, self.limits) if picture else read_header(path, self.limits))
        except DicomReadError as error:
            return error.reason != "not-selected"
        return True
