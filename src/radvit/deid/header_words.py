"""Words of an original header, which may be malformed: what can't be read counts as absent."""

from __future__ import annotations

import re
from typing import Any

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue

# Whatever names the patient, or a person or number that leads to them, and may be burned into the pixels.
_IDENTITY = (
    "PatientName",
    "PatientID",
    "PatientBirthName",
    "PatientMotherBirthName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthDate",
    "PatientAddress",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
)


def words_of(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The attribute's values as texts, stripped."""
    tag = tag_for_keyword(keyword)
    try:
        value: Any = dataset[tag].value if tag in dataset else ""
        values = list(value) if isinstance(value, (MultiValue, list)) else [value]  # a PersonName iterates over letters
        return tuple(word for word in (str(one or "").strip() for one in values) if word)
    except Exception:  # noqa: BLE001 - whatever a malformed value raises
        return ()


def word_of(dataset: Dataset, keyword: str) -> str:
    """The attribute's first value as a text, or an empty one."""
    return next(iter(words_of(dataset, keyword)), "")


def identity_words(dataset: Dataset) -> frozenset[str]:
    """The words that the header's identity is made of, in capitals: none of them may stay in the pixels.

    Single Latin letters are left out: an initial would take every side marker with it, and tells nothing.
    """
    texts = (text for keyword in _IDENTITY for text in words_of(dataset, keyword))
    words = (word for text in texts for word in re.split(r"[\W_]+", text.upper()))
    return frozenset(word for word in words if len(word) > 1 or not word.isascii())
