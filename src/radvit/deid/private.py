"""Private attributes that are known to be safe (PS3.15 Table E.3.10-1), as data: numbers of physics, and no texts."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.tag import BaseTag

# Private creator, group, and the low bytes of the elements that may stay.
_SAFE: dict[tuple[str, int], frozenset[int]] = {
    ("Philips PET Private Group", 0x7053): frozenset((0x00, 0x09)),
    ("ELSCINT1", 0x00E1): frozenset((0x21, 0x50)),
    ("ELSCINT1", 0x01E1): frozenset((0x26,)),
    ("ELSCINT1", 0x01F1): frozenset((0x01, 0x07, 0x26, 0x27)),
    ("GEMS_ACQU_01", 0x0019): frozenset((0x23, 0x24, 0x25, 0x26, 0x27, 0x9E)),
    ("GEMS_RELA_01", 0x0021): frozenset((0x35, 0x36, 0x37)),
    ("GEMS_SERS_01", 0x0025): frozenset((0x07,)),
    ("GEMS_PARM_01", 0x0043): frozenset((0x27, 0x39, 0x6F)),
    ("GEMS_HELIOS_01", 0x0045): frozenset((0x01, 0x02)),
    ("GEIIS PACS", 0x0903): frozenset((0x10, 0x11, 0x12)),
    ("Philips Imaging DD 001", 0x2001): frozenset((0x03, 0x04)),
    ("Philips MR Imaging DD 001", 0x2005): frozenset((0x0D, 0x0E)),
    ("SIEMENS MR HEADER", 0x0019): frozenset((0x0C, 0x0D, 0x0E, 0x27)),
}
_NUMBERS = frozenset(("DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "SV", "UV"))


def is_safe(dataset: Dataset, tag: BaseTag) -> bool:
    """Whether a private element holds a number that the table lists under its creator."""
    if tag.is_private_creator:
        return False
    block = BaseTag((tag.group << 16) | (tag.element >> 8))
    creator = str(dataset[block].value or "").strip() if block in dataset else ""
    return (tag.element & 0xFF) in _SAFE.get((creator, tag.group), ()) and str(dataset[tag].VR) in _NUMBERS


def creators_of(kept: list[BaseTag]) -> list[BaseTag]:
    """The elements that reserve the blocks of private elements that stay (PS3.5 7.8.1)."""
    return sorted({BaseTag((tag.group << 16) | (tag.element >> 8)) for tag in kept})
