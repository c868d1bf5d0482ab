"""Counting rows that passed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of how many passed."""

    passed: int = 0
    total: int = 0

    def with_row(self, good: bool) -> Tally:
        """One row more."""
        return Tally(self.passed + good, self.total + 1)

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.passed + other.passed, self.total + other.total)

    @property
    def percent(self) -> float:
        """Of the rows, how many passed; 100 of none."""
        return 100.0 * self.passed / self.total if self.total else 100.0
