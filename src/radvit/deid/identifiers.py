"""The identifiers that a header holds, gathered from it, so that they can be cut out of texts and searched for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from pydicom import DataElement, Dataset

from radvit.deid import needles
from radvit.deid.needles import Needle, fold, fold_character, squeeze
from radvit.deid.options import (
    CLEANED_DESCRIPTORS,
    CLEANED_PATIENT_CHARACTERISTICS,
    KEPT_DEVICE_IDENTITY,
    KEPT_INSTITUTION_IDENTITY,
    KEPT_PATIENT_CHARACTERISTICS,
    NOT_DATES,
    Option,
    Options,
)
from radvit.deid.pseudonym import OWN_UIDS, is_well_known
from radvit.deid.tables import actions
from radvit.deid.values import dummy, repaired, shift_date

_TEXTS = frozenset(("LO", "SH", "UC", "ST", "LT", "UT", "AE", "UR"))
_NO_IDENTIFIER = frozenset(("TimezoneOffsetFromUTC", "ReasonForTheAttributeModification", "InstanceOriginStatus"))
_DATES = ("DA", "DT")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What must not be found again. needles: names, numbers, addresses and dates. uids: as they stand.

    plain: whether all was ASCII in the header.
    """

    needles: tuple[Needle, ...]
    uids: frozenset[str] = frozenset()
    plain: bool = True

    def __len__(self) -> int:
        return len(self.needles) + len(self.uids)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where identifiers stand in a text, start and end, in its own characters."""
        folded, places = _folded(text)
        squeezed = squeeze(folded)
        found = list(chain.from_iterable(needle.spans(folded, squeezed) for needle in self.needles))
        found += [match.span() for match, _ in self._uids_in(folded)]
        if places is None:
            return found
        return [(places[start], places[end - 1] + 1) for start, end in found if end > start]

    def count(self, text: str, raw: bool) -> int:
        """How many of the identifiers stand in a text. raw: the text is bytes of a file, not a value that is text."""
        folded = fold(text)
        squeezed = squeeze(folded)
        named = sum(1 for needle in self.needles if (needle.anywhere or not raw) and needle.spans(folded, squeezed))
        return named + len({uid for _, uid in self._uids_in(folded)})

    def _uids_in(self, text: str) -> Iterator[tuple[re.Match[str], str]]:
        """Each number with dots that is a UID, or begins with one."""
        for match in _DOTTED.finditer(text) if self.uids else ():
            parts = match[0].split(".")
            uid = next((uid for n in range(len(parts), 1, -1) if (uid := ".".join(parts[:n])) in self.uids), None)
            if uid is not None:
                yield match, uid


def gather(dataset: Dataset, options: Options, days: int = 0) -> Identifiers:
    """The identifiers of a header, at every depth: what the Basic Profile removes and the options don't keep.

    Free text is none: it may hold anything. days: by which dates are shifted; a date that the output may hold, as one
    that is kept, or as another one's shifted form, or as a dummy, is not looked for.
    """
    values = [(element, value) for element in _elements(dataset, _DEPTH) for value in _texts(element)]
    dates = [(element.keyword, value[:8]) for element, value in values if element.VR in _DATES]
    allowed = {str(dummy("DA"))} | {shift_date(date, days) for _, date in dates if days}
    if Option.FULL_DATES in options:
        allowed |= {date for keyword, date in dates if keyword not in NOT_DATES}
    found: dict[Needle, None] = {}
    for element, value in values:
        found.update(dict.fromkeys(_needles(element, value, options, allowed)))
    uids = frozenset(value for element, value in values if element.VR == "UI" and _is_replaced(element, value, options))
    return Identifiers(tuple(found), uids, all(value.isascii() for _, value in values))


def _needles(element: DataElement, value: str, options: Options, allowed: set[str]) -> tuple[Needle, ...]:
    vr = str(element.VR)
    if vr == "PN":
        return needles.of_name(value)
    if vr in _DATES:
        return () if value[:8] in allowed else needles.of_date(value[:8])
    return needles.of_value(value) if vr in _TEXTS and _identifies(element, element.keyword, options) else ()


def _is_replaced(element: DataElement, uid: str, options: Options) -> bool:
    return Option.UIDS not in options and "." in uid and (element.keyword in OWN_UIDS or not is_well_known(uid))


def _identifies(element: DataElement, keyword: str, options: Options) -> bool:
    """Whether a text attribute says who, where or with what, by what the Basic Profile does with it."""
    if int(element.tag) not in actions() or keyword in _NO_IDENTIFIER:
        return False
    free = keyword in CLEANED_DESCRIPTORS or keyword in CLEANED_PATIENT_CHARACTERISTICS
    kept = keyword in KEPT_PATIENT_CHARACTERISTICS
    kept |= Option.DEVICE_IDENTITY in options and keyword in KEPT_DEVICE_IDENTITY
    kept |= Option.INSTITUTION_IDENTITY in options and keyword in KEPT_INSTITUTION_IDENTITY
    return not free and not kept


def _elements(dataset: Dataset, depth: int) -> Iterator[DataElement]:
    """Every element that can be parsed, of items too; of private ones the names alone."""
    for tag in tuple(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value if depth else ():
                    yield from _elements(item, depth - 1)
            elif not tag.is_private or element.VR == "PN":
                yield element
        except Exception:  # noqa: BLE001 - a malformed value is no identifier that could be compared
            continue


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if value is None or isinstance(value, bytes):
        return []
    several = (not isinstance(value, str) and hasattr(value, "__iter__") and element.VR != "PN") or element.VM > 1
    values = list(value) if several else [value]
    return [text for text in (repaired(str(one)).strip(" \0") for one in values) if text]


def _folded(text: str) -> tuple[str, list[int] | None]:
    """A text folded, and for each of its characters the place in the text; None where the places are the same."""
    if text.isascii():
        return text.lower(), None
    parts = [fold_character(character) for character in text]
    return "".join(parts), [place for place, part in enumerate(parts) for _ in part]
