"""Which slices of a volume become images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slices:
    """central: only so many in the middle of the volume, None for all of it.

    every: of the slices without a lesion each so many-th is taken, 0 for none; those with a lesion are all taken.
    """

    central: int | None = None
    every: int = 1

    def chosen(self, lesions: Sequence[bool]) -> list[int]:
        """The slices to take of a volume, in order. lesions: whether each of its slices shows one."""
        count = len(lesions) if self.central is None else min(self.central, len(lesions))
        first = (len(lesions) - count) // 2
        within = range(first, first + count)
        healthy = [i for i in within if not lesions[i]]
        kept = set(healthy[:: self.every]) if self.every else set()
        return [i for i in within if lesions[i] or i in kept]
