"""What looks like an identifier in a free text though no header names it: dates, numbers, addresses, people.

Each pattern is bounded, so that no text makes the search take more than a time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from radvit.deid.profile import BODY_PARTS, VIEWS

Span = tuple[int, int]

_MONTH = (
    r"(?:jan|feb|fév|mar|mär|mrz|apr|avr|abr|may|mai|jun|juin|jul|juil|aug|aoû|ago|sep|oct|okt|nov|dec|dez|déc|dic|ene)"
    r"[a-zéûä]{0,8}"
)
_YEAR, _MONTH_NUMBER, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_LABELS = r"mrn|pid|pat(?:ient)?[ _]?(?:id|no|number)|acc(?:ession)?[ _]?(?:id|no|number)|ssn|nhs|dob|d\.o\.b"
_WITH_DIGITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<!\d){_YEAR}(?:[-/.年]\s?|\s){_MONTH_NUMBER}(?:[-/.月]\s?|\s){_DAY}日?(?!\d)",
        rf"(?<!\d)(?:{_DAY}[-/.]{_MONTH_NUMBER}|{_MONTH_NUMBER}[-/.]{_DAY})[-/.]{_YEAR}(?!\d)",
        r"(?<!\d)\d{1,2}([-/])\d{1,2}\1\d\d(?!\d)|(?<![\d.])\d\d\.\d\d\.\d\d(?!\.?\d)",
        rf"(?<!\d){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{2,6}})?(?!\d)",
        rf"(?<!\d){_DAY}(?:st|nd|rd|th)?[-/., ]{{0,2}}{_MONTH}[-/., ]{{0,2}}(?:\d\d)?\d\d(?!\d)",
        rf"\b{_MONTH}[-/., ]{{0,2}}(?:{_DAY}(?:st|nd|rd|th)?[-/., ]{{1,2}})?{_YEAR}(?!\d)",
        r"(?<![\w.])[0-2](?:\.\d{1,40}){4,}",  # a UID
        r"(?<!\d)\d{1,3}(?:\.\d{1,3}){3}(?!\d)",  # an internet address
        rf"\b(?:{_LABELS})\b\s{{0,3}}[:#=.]{{0,3}}\s{{0,3}}[^\s,;\d]{{0,24}}\d[^\s,;]{{0,64}}",
        r"\b(?:id|case|ref|acc|nr|no|number)\.?\s{0,3}[:#=]\s{0,3}[^\s,;\d]{0,24}\d[^\s,;]{0,64}",
        r"\b(?:id|ext)\.?\s{1,3}\d{4,12}\b",
        r"#\s{0,3}\d{3,}[\w-]{0,32}",
        r"(?<![\w.])\+?\(?\d[\d ()/-]{5,30}\d(?!\w)",  # a telephone number
        r"(?<![\d.])\d{3}([.-])\d{3}\1\d{4}(?!\.?\d)",
        r"\b(?:tel|telephone|phone|fax|mobile|cell|call)\b[\s.:]{0,4}\+?[\d ()./-]{5,30}\d",
        r"\b0?(?:9\d|1[0-3]\d)[ -]{0,2}(?:y(?:ea)?rs?\b|y/?o\b|y\b|years?[ -]old|jahre?\b|jährig|ans\b|岁|歲)",
        r"\baged?\s?:?\s?(?:9\d|1[0-3]\d)\b",
    )
)
_TOKEN, _LONG_NUMBER = re.compile(r"[A-Za-z0-9_-]+"), re.compile(r"\d{5}")
_ADDRESSES = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){0,8}|\b(?:https?|ftp|file)://\S+|\bwww\.\S+", re.IGNORECASE
)

_TITLE = re.compile(
    r"(?<![\w-])(dr|prof|mrs?|ms|miss|herr|frau|hr|fr|mme|mlle|sra?|dra|sig)(\.?)(?!\w)|(?<!\w)(dr|prof)\.(?=\w)",
    re.IGNORECASE,
)
_AMBIGUOUS = frozenset(("dr", "mr", "ms", "hr", "fr", "sr", "sig"))  # digital radiography, magnetic resonance, ...
_ROLE = (
    r"(?:nurse|radiographer|technologist|technician|tech|physician|doctor|surgeon|radiologist|resident|fellow|consultant"
    r"|cardiologist|oncologist|operator|staff)"
)
_DONE = (
    r"(?:seen|read|reported|performed|referred|requested|ordered|signed|dictated|reviewed|verified|approved|discussed)"
)
_LEADS = re.compile(
    rf"\b(?:{_DONE}\s+(?:by|with|to)(?:\s+{_ROLE})?|{_ROLE}\s?:?|(?:patient|name)\s?:)(?!\w)", re.IGNORECASE
)
_DEGREE = re.compile(r"(?:,\s{0,3}|\s)(?:MD|M\.D\.|RN|PhD|FRCR|FACR|MBBS)(?!\w)")
_BEFORE = re.compile(r"[^\W\d_][\w'’-]{0,40}(?:\s[^\W\d_][\w'’-]{0,40})?\Z")
_WORD = re.compile(r"[\s.]{0,3}([^\W\d_][\w'’-]{0,40})")
_PARTICLES = (
    "al",
    "bin",
    "da",
    "de",
    "del",
    "den",
    "der",
    "di",
    "dos",
    "du",
    "el",
    "la",
    "le",
    "o",
    "ter",
    "van",
    "von",
)
_MOST_BEFORE, _MOST_WORDS, _MOST_NAMES = 84, 6, 2
_IMAGING = "ANGIO BRAIN CONTRAST CT DR IMAGE MR NOTE PET REPORT REVIEW ROOM SCAN STATION US"
_NO_NAMES = frozenset(word.lower() for word in (*BODY_PARTS, *VIEWS, *_IMAGING.split()))


def suspicious(text: str) -> list[Span]:
    """Where a text holds what looks like an identifier: start and end."""
    spans = [match.span() for match in _ADDRESSES.finditer(text)] if "@" in text or "/" in text or "www" in text else []
    if any(map(str.isdecimal, text)):
        spans += [match.span() for pattern in _WITH_DIGITS for match in pattern.finditer(text)]
        spans += [match.span() for match in _TOKEN.finditer(text) if _LONG_NUMBER.search(match[0])]
    return [*spans, *_people(text)]


def _people(text: str) -> Iterator[Span]:
    """Names beside a title, a role, or a degree."""
    for title in _TITLE.finditer(text):
        word, dotted = title[1] or title[3], bool(title[2] or title[3])
        certain = dotted or word.istitle() or word.lower() not in _AMBIGUOUS
        if certain or word in ("DR", "dr"):
            yield from _names_from(text, title.end(), certain)
    for lead in _LEADS.finditer(text):
        yield from _names_from(text, lead.end(), certain=lead[0].endswith(":") and lead[0][0] in "PpNn")
    for degree in _DEGREE.finditer(text):
        before = _BEFORE.search(text[max(degree.start() - _MOST_BEFORE, 0) : degree.start()])
        words = before[0].split() if before else []
        if before and words[-1][0].isupper() and words[-1].lower() not in _NO_NAMES:
            first = len(words) > 1 and not (words[0][0].isupper() and words[0].lower() not in _NO_NAMES)
            length = len(words[-1]) if first else len(before[0])
            yield degree.start() - length, degree.start()


def _names_from(text: str, start: int, certain: bool) -> Iterator[Span]:
    """The names that begin at a place, with initials and particles. certain: the first word is one in any case."""
    end, names = start, 0
    for _ in range(_MOST_WORDS):
        word = _WORD.match(text, end)
        if word is None or names == _MOST_NAMES:
            break
        low = word[1].lower()
        if low in _PARTICLES or len(low) == 1 or _TITLE.fullmatch(word[1]):
            end = word.end()
            continue
        if not (certain and not names) and (low in _NO_NAMES or not word[1][0].isupper()):
            break
        end, names = word.end(), names + 1
        yield word.span(1)
    if names:
        yield start, end
