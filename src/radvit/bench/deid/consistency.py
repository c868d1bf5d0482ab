"""Which pseudonym took the place of which identifier, as the outputs themselves tell."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from radvit.bench.deid.answer import Check, Row
from radvit.bench.deid.find import Opened
from radvit.bench.deid.tally import Tally

# Where an identifier is the file's own. What took its place there must take its place wherever it is referred to.
_OWN = ("00080018", "0020000D", "0020000E", "00200052", "00100020")
_LEARNED_FROM = frozenset({Check.UID_CONSISTENT, Check.PATID_CONSISTENT, Check.DATE_SHIFTED})


@dataclass(frozen=True, slots=True)
class Identifiers:
    """new: identifier to pseudonym. shared: pseudonyms that stand for more than one identifier. dates: see `Scores`."""

    new: Mapping[str, str]
    shared: frozenset[str]
    dates: Tally

    @staticmethod
    def of(rows: Iterable[Row], opened: Mapping[str, Opened]) -> Identifiers:
        """Learn from the outputs: from an identifier's own place first, else from what stands for it most often."""
        own: dict[str, Counter[str]] = defaultdict(Counter)
        other: dict[str, Counter[str]] = defaultdict(Counter)
        days: dict[int, Counter[int]] = defaultdict(Counter)
        for row in rows:
            output = opened.get(row.file)
            if row.check not in _LEARNED_FROM or output is None or not (found := output.text_at(row.path)):
                continue
            if row.check is not Check.DATE_SHIFTED:
                for before, after in zip(row.expected, found.split("\\"), strict=False):
                    (own if row.path in _OWN else other)[before][after] += 1
            elif (moved := _days_moved(row.value, found)) is not None:
                days[row.patient][moved] += 1
        new = {before: (own.get(before) or counts).most_common(1)[0][0] for before, counts in (other | own).items()}
        uses = Counter(new.values())
        return Identifiers(new, frozenset(name for name, count in uses.items() if count > 1), _agreeing(days))

    def agree(self, before: Iterable[str], found: str) -> bool:
        """Whether what is found is the pseudonym of each identifier, and of no other."""
        after = found.split("\\")
        expected = [self.new.get(one) for one in before]
        return after == expected and not self.shared & set(after)


def _days_moved(before: str, after: str) -> int | None:
    """How many days lie between two dates, or None where one of them is none."""
    days = [_day(text) for text in (before, after)]
    return None if days[0] is None or days[1] is None else (days[1] - days[0]).days


def _day(text: str) -> datetime.date | None:
    try:
        return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _agreeing(days: Mapping[int, Counter[int]]) -> Tally:
    """Of all dates that moved, how many did so by the number of days that is the most frequent of their patient."""
    tally = Tally()
    for counts in days.values():
        tally = tally.plus(Tally(counts.most_common(1)[0][1], counts.total()))
    return tally
