"""Header text for pages."""

from __future__ import annotations

LONGEST = 400  # characters of one text, as of an error in the manifest


def plain(value: object) -> str:
    """A value as one printable line, shortened; empty for None. Lone surrogates, which no file can hold, go too."""
    text = "" if value is None else str(value)
    text = "".join(c if c.isprintable() else " " for c in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
