"""What the sentences about findings say: the tables of words read backwards.

A sentence is split at the phrases whose templates the tables hold; what stands where a template has a field is taken as
that field's value and looked up among the words of its table. Blanks count for nothing, as a PDF breaks lines anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from radvit.errors import DataError
from radvit.report import wording
from radvit.report.said import ChangeSaid, Said

FIELD = re.compile(r"\{(\w+)\}")
SCORE, SIZE = r"\d\.\d\d", r"\d+(?:\.\d)?"
TENTHS, SIGNED = r"\d+\.\d", r"[+\N{MINUS SIGN}]?\d+(?:\.\d)?"


def sentence_said(number: int, sentence: str, language: str) -> Said:
    """What a finding's sentence says. Raises DataError where it is no sentence of that language's tables."""
    table = wording.words(language).table
    text = bare(sentence)
    sure = confidence(language).search(text)
    if sure is None:
        raise DataError(f"finding {number}: no confidence in {sentence!r}")
    head, size = text[: sure.start()], _sized(language).search(text)
    name, place = _what_and_where(head, language)
    parts = _placed(place, language)
    return Said(
        number=number,
        type=name,
        score=float(sure["score"]),
        band=_key(table, "band.", sure["band"]),
        side=_maybe(table, "side.", parts.get("side")),
        zone=_maybe(table, "zone.", parts.get("zone")),
        depth=_maybe(table, "depth.", parts.get("depth")),
        size_mm=float(size["mm"]) if size else None,
        size_plane=_key(table, "plane.", size["plane"]) if size else None,
    )


def changes_in(text: str, language: str) -> tuple[ChangeSaid, ...]:
    """What became of each finding that a text speaks of: a verdict, and the finding's number right behind it."""
    plain = bare(text)
    heads = list(_change_head(language).finditer(plain))
    ends = [head.start() for head in heads[1:]] + [len(plain)]
    return tuple(_change_said(head, plain[head.end() : end], language) for head, end in zip(heads, ends, strict=False))


def _change_said(head: re.Match[str], reason: str, language: str) -> ChangeSaid:
    table = wording.words(language).table
    earlier = head["earlier"]
    verdict, number = _key(table, "verdict.", head["verdict"]), int(earlier or head["present"])
    size = _change_size(language).search(reason)
    if size is None:
        return ChangeSaid(verdict, number, earlier is not None)
    before, now, mm, percent = (
        float(size[name].replace("\N{MINUS SIGN}", "-")) for name in ("before", "now", "mm", "percent")
    )
    plane = _key(table, "plane.", size["plane"])
    return ChangeSaid(verdict, number, earlier is not None, before, now, mm, percent, plane)


@cache
def _change_head(language: str) -> re.Pattern[str]:
    """A verdict, and the beginning of the sentence that gives its reason: whose number it is."""
    table = wording.words(language).table
    named = {"present": "change.finding", "earlier": "change.earlier"}
    starts = (
        _source(table[key].split("{what}", 1)[0], {"n": r"\d+"}).replace("?P<n>", f"?P<{name}>")
        for name, key in named.items()
    )
    return re.compile(f"(?P<verdict>{_any_of(table, 'verdict.')})(?:{'|'.join(starts)})")


@cache
def _change_size(language: str) -> re.Pattern[str]:
    table = wording.words(language).table
    numbers = {"before": TENTHS, "now": TENTHS, "mm": SIGNED, "percent": SIGNED}
    return _pattern(table["change.size"], numbers | {"plane": _any_of(table, "plane.")})


def numbers_in(sentences: Sequence[str], language: str) -> frozenset[int]:
    """The numbers of findings that sentences of the impression name, whichever rule they were made by."""
    fits = (
        next(filter(None, (rule.fullmatch(bare(text)) for rule in _impressions(language))), None) for text in sentences
    )
    return frozenset(int(number) for found in fits if found for number in re.findall(r"\d+", found["numbers"]))


@cache
def _impressions(language: str) -> tuple[re.Pattern[str], ...]:
    """Patterns of the impression's sentences that name findings."""
    table = wording.words(language).table
    rules = [value for key, value in table.items() if key.startswith("impression.") and "{numbers}" in value]
    return tuple(_pattern(rule, {}) for rule in rules)


def _what_and_where(head: str, language: str) -> tuple[str, str]:
    """The name of a finding and the words of its place, empty where none are given."""
    table = wording.words(language).table
    join = bare(table["sentence.join"])
    first = head.split(join + bare(table["size"].split("{", 1)[0]), 1)[0]
    for key in ("basis.attention", "size.none"):
        first = first.split(join + bare(table[key]), 1)[0]
    first = first.split(join + bare(table["contrast"].split("{", 1)[0]), 1)[0].removesuffix(join)
    for pattern in _named_and_placed(language):
        found = pattern.fullmatch(first)
        if found:
            return found["name"], found.groupdict().get("place") or ""
    return first, ""


@cache
def _named_and_placed(language: str) -> tuple[re.Pattern[str], ...]:
    """Patterns of all ways to begin a finding's sentence: its name, and where it lies."""
    table = wording.words(language).table
    places = {"place": "|".join(_place_sources(language, ()))}
    return tuple(_pattern(table[key], places) for key in ("finding.image", "finding.placed", "finding"))


def _placed(place: str, language: str) -> Mapping[str, str]:
    """The words of side, zone and depth in the words of a place. Raises DataError for others."""
    if not place:
        return {}
    for pattern in _places(language):
        found = pattern.fullmatch(place)
        if found:
            return {name: value for name, value in found.groupdict().items() if value}
    raise DataError(f"{place!r} is no place of a finding")


@cache
def _places(language: str) -> tuple[re.Pattern[str], ...]:
    """Patterns of all ways to say a place, the longest first."""
    return tuple(re.compile(one, re.IGNORECASE) for one in _place_sources(language, ("side", "zone", "depth")))


def _place_sources(language: str, named: Sequence[str]) -> list[str]:
    table = wording.words(language).table
    words = {name: _any_of(table, f"{name}.") for name in ("side", "zone", "depth")}
    plain = [_source(table[key], words, named) for key in ("place.side_zone", "place.side", "place.zone")]
    around = (table["place.deep"], table["place.image"])
    return [*(_source(outer, words | {"place": inner}, named) for outer in around for inner in plain), *plain]


@cache
def confidence(language: str) -> re.Pattern[str]:
    """What a finding's confidence is told by, in text without blanks: `score` and `band`."""
    table = wording.words(language).table
    return _pattern(table["confidence"], {"score": SCORE, "band": _any_of(table, "band.")})


@cache
def _sized(language: str) -> re.Pattern[str]:
    table = wording.words(language).table
    return _pattern(table["size"], {"mm": SIZE, "plane": _any_of(table, "plane.")})


def _pattern(template: str, values: Mapping[str, str]) -> re.Pattern[str]:
    return re.compile(_source(template, values), re.IGNORECASE)


def _source(template: str, values: Mapping[str, str], named: Sequence[str] | None = None) -> str:
    """A template as a regular expression without blanks; each field is a group of its name.

    values: what may stand for a field; anything where it is not given. named: the fields to be groups, all if None.
    """
    parts = []
    for index, part in enumerate(FIELD.split(template)):
        if index % 2 == 0:
            parts.append(re.escape(bare(part)))
        else:
            value = values.get(part, ".+?")
            parts.append(f"(?P<{part}>{value})" if named is None or part in named else f"(?:{value})")
    return "".join(parts)


def _any_of(table: Mapping[str, str], prefix: str) -> str:
    """Any of the words whose keys begin so, the longest first."""
    words = sorted((bare(value) for key, value in table.items() if key.startswith(prefix)), key=len, reverse=True)
    return "|".join(map(re.escape, words))


def _key(table: Mapping[str, str], prefix: str, word: str) -> str:
    """The end of the key that has a word. Raises DataError where none has."""
    for key, value in table.items():
        if key.startswith(prefix) and bare(value).casefold() == word.casefold():
            return key.removeprefix(prefix)
    raise DataError(f"{word!r} is none of the report's words")


def _maybe(table: Mapping[str, str], prefix: str, word: str | None) -> str | None:
    return None if word is None else _key(table, prefix, word)


def bare(text: str) -> str:
    """A text without its blanks."""
    return "".join(text.split())
