"""What a batch of de-identification did, in counts: the record behind DEID_REPORT.html and deid_report.json.

It names no file, no patient and no value, so that it can be shown to people who may not see the originals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydicom.datadict import tag_for_keyword

from radvit.errors import DeidError

# PS3.15 Table E.1-1a, in the order in which they are shown.
ACTIONS = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced by a dummy or a pseudonym",
    "U": "UID replaced, the same original always by the same pseudonym",
    "C": "cleaned: kept without what identifies",
    "K": "kept",
}

LIMITATIONS = (
    "Faces are not removed. In a CT or MR of the head a face can be rebuilt from the image and recognised.",
    "Text in the pixels is found by software. Handwriting and rotated, faint or very small text can be missed; look at "
    "the images before they are passed on.",
    "The search of the written files finds what the headers of the originals held. It can't find a name that stood in "
    "no header, nor text within the pixels.",
    "Whoever holds the pseudonym key and a list of candidate patient numbers can test which of them are in the data. "
    "While the key exists the data are pseudonymous, not anonymous.",
    "What was kept on purpose, such as sex, age and what the images show, can single out a person in a small group.",
    "This page says what the software did. It is no legal statement that a person can't be recognised.",
)

_TAG = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)\Z")
_FINGERPRINT = re.compile(r"[0-9a-f]{12}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")


class _Counts:
    """A record whose whole numbers are counts."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value: Any = getattr(self, field.name)
            if isinstance(value, int) and value < 0:
                raise DeidError(f"{type(self).__name__}.{field.name} is {value}; expected a count")


@dataclass(frozen=True, slots=True)
class AppliedOption:
    """An option of the profile. code: of PS3.16 CID 7050, such as 113107. words: what it does here."""

    code: str
    name: str
    on: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What guards against text left in the pixels, each on or off, and how pseudonyms are made.

    search: text is looked for at all. every_image: whatever the header says; else not where BurnedInAnnotation is NO.
    thorough: with OCR; else by strokes alone. quarantine_unfound: images that ought to hold text, and in which none is
    found, aren't written. project: pseudonyms are of a project of their own.
    """

    search: bool
    every_image: bool
    thorough: bool
    quarantine_unfound: bool
    project: bool


@dataclass(frozen=True, slots=True)
class FileCounts(_Counts):
    """What became of the files that were read. failed: for a cause outside of them, such as a worker's death."""

    read: int
    written: int
    quarantined: int
    failed: int = 0

    def __post_init__(self) -> None:
        _Counts.__post_init__(self)
        total = self.written + self.quarantined + self.failed
        if self.read != total:
            raise DeidError(f"{self.read} files were read, and {total} accounted for; expected the same number")


@dataclass(frozen=True, slots=True)
class WrittenCounts(_Counts):
    """How many of each are in what was written."""

    patients: int
    studies: int
    series: int
    images: int


@dataclass(frozen=True, slots=True)
class ModalityCounts(_Counts):
    """The same for one modality, by its code such as CR."""

    modality: str
    patients: int
    studies: int
    images: int


@dataclass(frozen=True, slots=True)
class AttributeCount(_Counts):
    """What was done to an attribute, at every depth. name: keyword, or tag where it has none. action: of ACTIONS."""

    name: str
    action: str
    elements: int

    def __post_init__(self) -> None:
        _Counts.__post_init__(self)
        if self.action not in ACTIONS:
            raise DeidError(f"action of {len(self.action)} characters; expected one of {', '.join(ACTIONS)}")
        if not self.tag:
            raise DeidError(f"attribute of {len(self.name)} characters; expected a keyword of the standard or a tag")

    @property
    def tag(self) -> str:
        """Such as (0010,0020); empty for what is no attribute."""
        if _TAG.match(self.name):
            return self.name
        number = tag_for_keyword(self.name) if self.name else None  # some attributes of the standard have none
        return "" if number is None else f"({number >> 16:04X},{number & 0xFFFF:04X})"

    @property
    def keyword(self) -> str:
        """Such as PatientID; empty where the standard has none."""
        return "" if _TAG.match(self.name) else self.name


@dataclass(frozen=True, slots=True)
class HeaderCounts(_Counts):
    """What was done to elements of headers. texts: free texts. Private elements are not among the attributes."""

    attributes: tuple[AttributeCount, ...]
    private_removed: int
    private_kept: int
    uids_replaced: int
    dates_shifted: int
    texts_removed: int
    texts_cleaned: int

    @property
    def actions(self) -> dict[str, int]:
        """Elements by action, private ones aside."""
        return {action: sum(a.elements for a in self.attributes if a.action == action) for action in ACTIONS}


@dataclass(frozen=True, slots=True)
class PixelCounts(_Counts):
    """Text in the pixels. searched, blanked: images. regions: overwritten. allowed: regions left as harmless words."""

    searched: int
    blanked: int
    regions: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Files that were not written for one reason. files: their numbers in the operator's list, from 1, no names."""

    reason: str
    files: tuple[int, ...]
    words: str = ""


@dataclass(frozen=True, slots=True)
class RescanCounts(_Counts):
    """The search of what was written for what the originals held. hits: found in files that were written."""

    files: int
    bytes: int
    identifiers: int
    hits: int


@dataclass(frozen=True, slots=True)
class AuditLines(_Counts):
    """The batch's lines in the audit log, from 1, and the hash of the last one."""

    first: int
    last: int
    head: str

    def __post_init__(self) -> None:
        _Counts.__post_init__(self)
        if not (1 <= self.first <= self.last and _HASH.match(self.head)):
            raise DeidError(f"audit lines {self.first} to {self.last}; expected a range from 1 and a hash")


@dataclass(frozen=True, slots=True)
class BatchReport:
    """A batch. started, ended: ISO 8601, UTC. key: the pseudonym key's fingerprint. options: all, those off too.

    rescan, audit: None where there was none. Raises DeidError where counts contradict each other.
    """

    version: str
    commit: str
    started: str
    ended: str
    user: str
    profile: str
    key: str
    options: tuple[AppliedOption, ...]
    safeguards: Safeguards
    files: FileCounts
    written: WrittenCounts
    modalities: tuple[ModalityCounts, ...]
    headers: HeaderCounts
    pixels: PixelCounts
    quarantined: tuple[Refusal, ...] = ()
    failed: tuple[Refusal, ...] = ()
    rescan: RescanCounts | None = None
    audit: AuditLines | None = None
    limitations: tuple[str, ...] = LIMITATIONS

    def __post_init__(self) -> None:
        if not _FINGERPRINT.match(self.key):
            raise DeidError(f"key fingerprint of {len(self.key)} characters; expected 12 hexadecimal digits")
        for what, refusals in (("quarantined", self.quarantined), ("failed", self.failed)):
            told, named = getattr(self.files, what), sum(len(refusal.files) for refusal in refusals)
            if told != named:
                raise DeidError(f"{told} files {what}, and {named} with a reason; expected a reason for each")


def attribute_counts(done: Mapping[tuple[str, str], int]) -> tuple[AttributeCount, ...]:
    """From elements by (action, name), the most frequent first."""
    counts = [AttributeCount(name, action, elements) for (action, name), elements in done.items()]
    return tuple(sorted(counts, key=lambda count: (-count.elements, count.tag, count.action)))


def refusals(reasons: Iterable[tuple[int, str]], words: Mapping[str, str]) -> tuple[Refusal, ...]:
    """From (number of the file, reason), the most frequent reason first. words: what each reason means."""
    files: dict[str, list[int]] = {}
    for number, reason in reasons:
        files.setdefault(reason, []).append(number)
    ordered = sorted(files.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Refusal(reason, tuple(sorted(numbers)), words.get(reason, "")) for reason, numbers in ordered)
