"""Clean a free text: cut out the header's identifiers, and what looks like a date, a number, an address or a name."""

from __future__ import annotations

import re

from radvit.deid.identifiers import Identifiers
from radvit.deid.profile import BODY_PARTS, VIEWS

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_YEAR, _MONTH_NUMBER, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_LABELS = r"mrn|pid|pat(?:ient)?[ _]*(?:id|no|number)|acc(?:ession)?[ _]*(?:id|no|number)|ssn|nhs|dob|d\.o\.b"
_WITH_DIGITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<!\d){_YEAR}(?:[-/.年]\s?|\s){_MONTH_NUMBER}(?:[-/.月]\s?|\s){_DAY}日?(?!\d)",
        rf"(?<!\d)(?:{_DAY}[-/.]{_MONTH_NUMBER}|{_MONTH_NUMBER}[-/.]{_DAY})[-/.]{_YEAR}(?!\d)",
        r"(?<!\d)\d{1,2}([-/])\d{1,2}\1\d\d(?!\d)|(?<![\d.])\d\d\.\d\d\.\d\d(?!\.?\d)",
        rf"(?<!\d){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{2,6}})?(?!\d)",
        rf"(?<!\d){_DAY}(?:st|nd|rd|th)?[-/., ]{{0,2}}{_MONTH}[-/., ]{{0,2}}(?:\d\d)?\d\d(?!\d)",
        rf"\b{_MONTH}[-/., ]{{0,2}}(?:{_DAY}(?:st|nd|rd|th)?[-/., ]{{1,2}})?{_YEAR}(?!\d)",
        r"(?<![\w.])[0-2](?:\.\d+){4,}",  # a UID
        r"(?<!\d)\d{1,3}(?:\.\d{1,3}){3}(?!\d)",  # an internet address
        rf"\b(?:{_LABELS})\b\s*[:#=.]*\s*[^\s,;]*\d[^\s,;]*",
        r"\b(?:id|case|ref|acc|nr|no|number)\.?\s*[:#=]\s*[^\s,;]*\d[^\s,;]*",
        r"#\s*\d{3,}[\w-]*",
        r"(?<![\w.])\+?\(?\d[\d ()/-]{5,}\d(?!\w)",  # a telephone number
        r"(?<![\d.])\d{3}([.-])\d{3}\1\d{4}(?!\.?\d)",
        r"\b(?:tel|telephone|phone|fax|mobile|cell|call)\b[\s.:]*\+?[\d ()./-]{5,}\d",
        r"[A-Za-z0-9_-]*\d{5,}[A-Za-z0-9_-]*",
        r"\b(?:9\d|1[0-3]\d)[ -]*(?:y(?:ea)?rs?\b|y/?o\b|y\b|years?[ -]old|jahre?\b|岁|歲)",
    )
)
_ADDRESSES = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*|\b(?:https?|ftp)://\S+|\bwww\.\S+", re.IGNORECASE)
_NAME = r"([A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)?)"
_ROLE = (
    r"(?:nurse|radiographer|technologist|technician|tech|physician|doctor|surgeon|radiologist|resident|fellow|consultant"
    r"|cardiologist|oncologist|operator|staff)"
)
_DONE = (
    r"(?:seen|read|reported|performed|referred|requested|ordered|signed|dictated|reviewed|verified|approved|discussed)"
)
# People whom no header names, by what stands beside them; the group is the name.
_PEOPLE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:Dr|DR|Prof|PROF|Mr|MR|Mrs|MRS|Ms|Miss|MISS|Herr|Frau|Mme|Mlle|Sr|Sra)\.?\s+{_NAME}",
        rf"\b(?i:{_ROLE})\s+{_NAME}",
        rf"\b(?i:{_DONE}\s+(?:by|with|to)(?:\s+{_ROLE})?)\s+{_NAME}",
        rf"\b{_NAME},?\s+(?:MD|M\.D\.|DO|RN|PhD|FRCR|FACR|MBBS)(?!\w)",
    )
)
_IMAGING = "ANGIO BRAIN CONTRAST CT DR IMAGE MR NOTE PET REPORT REVIEW ROOM SCAN STATION US"
_NO_NAMES = frozenset(word.lower() for word in (*BODY_PARTS, *VIEWS, *_IMAGING.split()))
_EMPTY = re.compile(r"\(\s*\)|\[\s*\]|\{\s*\}")
_EDGES = " \t\r\n,;:-_/^=#.&+"


def clean_text(text: str, identifiers: Identifiers) -> str:
    """A text without the identifiers and without what looks like one; empty where no word is left."""
    spans = identifiers.spans(text) + _suspicious(text)
    if not spans:
        return text
    kept, end = [], 0
    for start, stop in sorted(spans):
        if start > end:
            kept.append(text[end:start])
        end = max(end, stop)
    return _tidied(" ".join([*kept, text[end:]]))


def cut_identifiers(text: str, identifiers: Identifiers) -> str:
    """A code as it is, or empty where an identifier stands in it."""
    return "" if identifiers.spans(text) else text


def cut_suspicious(text: str, identifiers: Identifiers) -> str:
    """A coded word as it is, or empty where an identifier, or what looks like one, stands in it."""
    return "" if identifiers.spans(text) or _suspicious(text) else text


def _suspicious(text: str) -> list[tuple[int, int]]:
    spans = [match.span() for match in _ADDRESSES.finditer(text)] if "@" in text or "/" in text or "www" in text else []
    if any(map(str.isdecimal, text)):
        spans += [match.span() for pattern in _WITH_DIGITS for match in pattern.finditer(text)]
    return spans + [span for pattern in _PEOPLE for match in pattern.finditer(text) for span in _person(match)]


def _person(match: re.Match[str]) -> list[tuple[int, int]]:
    """The name that a match found, with a title before it; nothing where it is a word of radiology."""
    return [] if _NO_NAMES & set(match[1].lower().split()) else [(match.start(1), match.end(1))]


def _tidied(text: str) -> str:
    """Runs of spaces made one and stray punctuation at both ends dropped."""
    lines = (re.sub(r"[ \t]+", " ", _EMPTY.sub(" ", line)).strip(_EDGES) for line in text.splitlines())
    tidy = "\n".join(line for line in lines if line)
    return tidy if re.search(r"\w", tidy) else ""
