"""Which study a file belongs to, by reading the first few elements of its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pydicom


class NamesUids(Protocol):
    """What the index needs of `radvit.deid.pseudonym.Pseudonymizer`; must pickle."""

    def uid(self, uid: str, /) -> str:
        """The pseudonym of a UID."""
        ...


@dataclass(frozen=True, slots=True)
class StudyIndex:
    """Files to pseudonymous studies; picklable, so that a process pool can do the reading."""

    pseudonymizer: NamesUids

    def study_of(self, path: Path) -> str | None:
        """The pseudonym of a file's StudyInstanceUID, or None where the file is no DICOM or names no study.

        Reads no pixels; about a millisecond a file.
        """
        try:
            header = pydicom.dcmread(path, specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
            uid = str(header.get("StudyInstanceUID", "") or "").strip()
        except Exception:  # noqa: BLE001 - a hostile file may raise anything; the loader says later what is wrong
            return None
        return self.pseudonymizer.uid(uid) if uid else None
