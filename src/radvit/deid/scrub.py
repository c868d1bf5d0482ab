"""De-identify a header: a new data set that holds what the profile allows, and nothing else."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileDataset
from pydicom.uid import UID_dictionary

from radvit.deid.options import DEFAULT, Option, Options
from radvit.deid.profile import BASIC, Action, Profile, Rule
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.statement import coded, declare, file_meta, identity_of
from radvit.deid.values import limit_age, shift_date
from radvit.dicom.quiet import silence_pydicom

silence_pydicom()

METHOD = "radvit header allow-list, stricter than PS3.15 Basic Profile"

_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_ORIENTATION = re.compile(r"[APRLHF]{1,3}\Z")
_MOST_DIGITS = 16  # of a DS, PS3.5 6.2
_DEPTH = 8


def scrub(
    dataset: Dataset, pseudonymizer: Pseudonymizer, profile: Profile = BASIC, options: Options = DEFAULT
) -> Dataset:
    """A new data set without identity; the input is left as it is.

    options: of the Basic Profile, those that matter to what the list keeps: of dates and of patient characteristics.
    File meta is built anew and there is no preamble. An allowed attribute whose value can't be parsed is removed.
    A file without PatientID counts its study as a patient of its own.
    Raises DeidError where the file lacks the UIDs that pseudonyms start from.
    """
    walk = _Walk(profile, options, pseudonymizer, identity_of(dataset))
    clean = FileDataset("", walk.dataset(dataset, depth=0), preamble=b"\0" * 128, file_meta=file_meta(dataset))
    _complete(clean, walk)
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    return clean


@dataclass(frozen=True, slots=True)
class _Walk:
    """The recursive walk over one file's data set."""

    profile: Profile
    options: Options
    pseudonymizer: Pseudonymizer
    identity: str

    def dataset(self, dataset: Dataset, depth: int) -> Dataset:
        clean = Dataset()
        for tag in sorted(dataset.keys() & self.profile.rules.keys()):
            try:
                element = dataset[tag]
                value = self.value(self.profile.rules[int(tag)], element, depth)
            except Exception:  # noqa: BLE001 - whatever a malformed value raises, leaving it out is safe
                continue
            if value is not None:
                clean.add(DataElement(tag, _vr(element), value))
        return clean

    def value(self, rule: Rule, element: DataElement, depth: int) -> Any:
        """The value that may stay, or None where the attribute goes."""
        values = _values(element.value)
        match rule.action:
            case Action.WORDS:
                known = rule.words if self.tells_of_patient or element.keyword != "PatientSex" else ()
                return [word if word in known else "" for word in (str(v).strip() for v in values)]
            case Action.MAKER:
                return self.maker(str(element.value))
            case Action.NUMBER:
                return _numbers(element.VR, values)
            case Action.DATA:
                return _data(element)
            case Action.CLASS:
                return str(element.value) if str(element.value) in UID_dictionary else None
            case Action.ORIENTATION:
                return list(values) if len(values) == 2 and all(_ORIENTATION.match(str(v)) for v in values) else None
            case Action.AGE:
                return limit_age(str(element.value)) if self.tells_of_patient else None
            case Action.UID:
                return [self.pseudonymizer.uid(str(v)) for v in values if v]
            case Action.DATE:
                return self.date(str(element.value))
            case Action.PATIENT:
                return self.pseudonymizer.patient(self.identity)
            case Action.EMPTY:
                return ""
            case Action.ITEMS:
                return self.items(element, depth)
            case Action.CODES:
                return [item for item in map(self.coded, element.value) if item is not None] or None

    @property
    def tells_of_patient(self) -> bool:
        return Option.PATIENT_CHARACTERISTICS in self.options

    def date(self, date: str) -> str:
        if Option.FULL_DATES in self.options:
            return shift_date(date, 0)  # only what is a date
        return shift_date(date, self.pseudonymizer.offset_days(self.identity)) if self.shifts else ""

    @property
    def shifts(self) -> bool:
        return Option.MODIFIED_DATES in self.options

    def items(self, element: DataElement, depth: int) -> list[Dataset] | None:
        if depth >= _DEPTH:
            return None
        return [self.dataset(item, depth + 1) for item in element.value] or None

    def coded(self, item: Dataset) -> Dataset | None:
        """A code of the vocabulary, with the vocabulary's own meaning, so that no text of the file stays."""
        scheme, value = _text(item, "CodingSchemeDesignator"), _text(item, "CodeValue")
        meaning = self.profile.codes.get((scheme, value))
        return None if meaning is None else coded(value, meaning, scheme)

    def maker(self, name: str) -> str | None:
        words = re.split(r"[^A-Z0-9]+", name.upper())
        return next((maker for maker in self.profile.makers if maker in words), None)


def _complete(clean: Dataset, walk: _Walk) -> None:
    """Write what every file must hold: type 2 attributes, the pseudonym, how it was de-identified (PS3.3 C.7.1.1)."""
    for keyword in walk.profile.demanded:
        if keyword not in clean:
            setattr(clean, keyword, "")
    declare(clean, walk.pseudonymizer.patient(walk.identity), METHOD, walk.options)


def _vr(element: DataElement) -> str:
    """The dictionary's VR, or the element's own where the dictionary leaves a choice: never one a file made up."""
    vr = dictionary_VR(element.tag)
    return str(element.VR) if " or " in vr and element.VR in vr.split(" or ") else vr.split(" or ")[0]


def _data(element: DataElement) -> Any:
    if isinstance(element.value, bytes):
        return element.value
    return [int(v) for v in _values(element.value)] if element.keyword == "LUTData" else None


def _numbers(vr: str, values: list[Any]) -> list[Any] | None:
    """The numbers, in the form in which they stood; None where one isn't a finite number."""
    if vr not in ("DS", "IS"):
        kept = [v for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
        return kept if len(kept) == len(values) else None
    texts = [str(v).strip() for v in values]
    good = all(len(text) <= _MOST_DIGITS and _DECIMAL.match(text) and math.isfinite(float(text)) for text in texts)
    return texts if good and texts else None


def _values(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else [value]


def _text(dataset: Dataset, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    try:
        return str(dataset[tag].value or "").strip() if tag in dataset else ""
    except Exception:  # noqa: BLE001 - a malformed value counts as absent
        return ""
