"""Counts with their nouns."""

from __future__ import annotations


def counted(count: int, noun: str, many: str = "") -> str:
    """`1 file`, `1,234 files`. many: the plural where it isn't the noun and an s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
