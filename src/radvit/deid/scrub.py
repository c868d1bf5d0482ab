"""De-identify a header: a new data set that holds what the profile allows, and nothing else."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, UID_dictionary

from radvit.deid.profile import BASIC, Action, Profile, Rule
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.quiet import silence_pydicom
from radvit.errors import DeidError

silence_pydicom()

METHOD = "radvit header allow-list, stricter than PS3.15 Basic Profile"
# PS3.16 CID 7050: what was applied.
METHOD_CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")
IMPLEMENTATION_UID = "2.25.225793093473266094312284563190461583233"
IMPLEMENTATION_NAME = "RADVIT"

_AGE = re.compile(r"([0-9]{3})([DWMY])\Z")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_ORIENTATION = re.compile(r"[APRLHF]{1,3}\Z")
_CODED = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_MOST_YEARS = 89
_MOST_DIGITS = 16  # of a DS, PS3.5 6.2
_DEPTH = 8


def scrub(dataset: Dataset, pseudonymizer: Pseudonymizer, profile: Profile = BASIC) -> Dataset:
    """A new data set without identity; the input is left as it is.

    File meta is built anew and there is no preamble. An allowed attribute whose value can't be parsed is removed.
    A file without PatientID counts its study as a patient of its own.
    Raises DeidError where the file lacks the UIDs that pseudonyms start from.
    """
    study = str(dataset.get("StudyInstanceUID") or "").strip()
    if not study or not dataset.get("SOPInstanceUID"):
        raise DeidError("StudyInstanceUID or SOPInstanceUID is missing; expected both, to build pseudonyms from")
    identity = _text(dataset, "PatientID") or f"study {study}"
    walk = _Walk(profile, pseudonymizer, identity)
    clean = FileDataset("", walk.dataset(dataset, depth=0), preamble=b"\0" * 128, file_meta=_file_meta(dataset))
    _complete(clean, walk)
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    return clean


def declare_clean_pixels(dataset: Dataset) -> None:
    """Record in a scrubbed data set that its burned-in text was overwritten. Changes it in place."""
    dataset.BurnedInAnnotation = "NO"
    dataset.DeidentificationMethodCodeSequence.append(_code(*CLEAN_PIXELS))


@dataclass(frozen=True, slots=True)
class _Walk:
    """The recursive walk over one file's data set."""

    profile: Profile
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
                return [word if word in rule.words else "" for word in (str(v).strip() for v in values)]
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
                return limit_age(str(element.value))
            case Action.UID:
                return [self.pseudonymizer.uid(str(v)) for v in values if v]
            case Action.DATE:
                return shift_date(str(element.value), self.pseudonymizer.offset_days(self.identity))
            case Action.PATIENT:
                return self.pseudonymizer.patient(self.identity)
            case Action.EMPTY:
                return ""
            case Action.ITEMS:
                return self.items(element, depth)
            case Action.CODES:
                return [item for item in map(self.coded, element.value) if item is not None] or None

    def items(self, element: DataElement, depth: int) -> list[Dataset] | None:
        if depth >= _DEPTH:
            return None
        return [self.dataset(item, depth + 1) for item in element.value] or None

    def coded(self, item: Dataset) -> Dataset | None:
        """A code of the vocabulary, with the vocabulary's own meaning, so that no text of the file stays."""
        scheme, value = _text(item, "CodingSchemeDesignator"), _text(item, "CodeValue")
        meaning = self.profile.codes.get((scheme, value))
        return None if meaning is None else _code(value, meaning, scheme)

    def maker(self, name: str) -> str | None:
        words = re.split(r"[^A-Z0-9]+", name.upper())
        return next((maker for maker in self.profile.makers if maker in words), None)


def shift_date(date: str, days: int) -> str:
    """A DICOM date (YYYYMMDD) moved back by days; empty where it is no date or would leave the calendar."""
    if not re.fullmatch(r"[0-9]{8}", date):
        return ""
    try:
        moved = datetime.date(int(date[:4]), int(date[4:6]), int(date[6:])) - datetime.timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}".zfill(8)


def limit_age(age: str) -> str | None:
    """A DICOM age (such as `063Y`); from 90 years on `090Y`, as ages that rare can identify. None if malformed."""
    match = _AGE.match(age)
    if match is None:
        return None
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[match[2]]
    return "090Y" if years >= _MOST_YEARS + 1 else age


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    source = getattr(dataset, "file_meta", None) or Dataset()
    syntax = str(source.get("TransferSyntaxUID") or "")
    if syntax not in UID_dictionary:
        raise DeidError("transfer syntax is missing or not in the standard")
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(str(dataset.get("SOPClassUID")))
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    return meta


def _complete(clean: Dataset, walk: _Walk) -> None:
    """Write what every file must hold: type 2 attributes, the pseudonym, how it was de-identified (PS3.3 C.7.1.1)."""
    for keyword in walk.profile.demanded:
        if keyword not in clean:
            setattr(clean, keyword, "")
    clean.PatientID = clean.PatientName = walk.pseudonymizer.patient(walk.identity)
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = METHOD
    clean.DeidentificationMethodCodeSequence = [_code(*code) for code in METHOD_CODES]
    clean.LongitudinalTemporalInformationModified = "MODIFIED"


def _code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    item = Dataset()
    for keyword, text in zip(_CODED, (value, scheme, meaning), strict=True):
        setattr(item, keyword, text)
    return item


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
