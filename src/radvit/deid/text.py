"""Clean a free text: cut out the header's identifiers, and what looks like a date, a number, an address or a name."""

from __future__ import annotations

import re

from radvit.deid.identifiers import Identifiers
from radvit.deid.suspects import suspicious

MOST_CHARACTERS = 100_000  # of a text; a longer one is dropped, as it can't be cleaned in a moment

_EMPTY = re.compile(r"\(\s*\)|\[\s*\]|\{\s*\}")
_EDGES = " \t\r\n,;:-_/^=#.&+"


def clean_text(text: str, identifiers: Identifiers) -> str:
    """A text without the identifiers and without what looks like one; empty where no word is left."""
    if len(text) > MOST_CHARACTERS:
        return ""
    spans = identifiers.spans(text) + suspicious(text)
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
    return "" if len(text) > MOST_CHARACTERS or identifiers.spans(text) else text


def cut_suspicious(text: str, identifiers: Identifiers) -> str:
    """A coded word as it is, or empty where an identifier, or what looks like one, stands in it."""
    return "" if len(text) > MOST_CHARACTERS or identifiers.spans(text) or suspicious(text) else text


def _tidied(text: str) -> str:
    """Runs of spaces made one and stray punctuation at both ends dropped."""
    lines = (re.sub(r"[ \t]+", " ", _EMPTY.sub(" ", line)).strip(_EDGES) for line in text.splitlines())
    tidy = "\n".join(line for line in lines if line)
    return tidy if re.search(r"\w", tidy) else ""
