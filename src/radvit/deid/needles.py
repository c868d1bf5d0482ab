"""What an identifier looks like wherever it stands: a name in any case and order, a number padded or split, a date.

Texts are compared folded: lower case, without diacritics. A needle's key is a quick test on what is left of the folded
text once all but letters and digits is dropped; only where the key is found does the exact pattern run.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from anyascii import anyascii

WHOLE_WORD_BELOW = 5  # letters of a name, below which it counts only as a word of its own
SPLIT_FROM = 6  # characters of a number or a name, from which on single separators may stand within it
_PREFIX = 10  # letters of a word that are compared: fields of 16 characters cut names off
LEAST = 3  # characters of a number that is looked for
LEAST_GROUP = 4  # the same of a group of a number
_REMEMBERED = 8192  # values whose needles are kept for the next file

_NO_LETTER_BEFORE, _NO_LETTER_AFTER = r"(?<![^\W\d_])", r"(?![^\W\d_])"
_NO_DIGIT_BEFORE, _NO_DIGIT_AFTER = r"(?<!\d)(?<!\d\.)", r"(?!\d)"  # nor the places behind a decimal point
_APART = r"[\W_]{0,3}"
_NUMBER_APART = r"[ \-_/]?"
_DATE_APART = r"(?:[-/., ]{1,2}|年|月)"
_NAME_GROUPS = re.compile(r"[=\\]")
_WORDS, _LETTERS, _DROPPED = re.compile(r"[^\W_]+"), re.compile(r"[^\W\d_]+"), re.compile(r"[\W_]+")
_CHUNKS = re.compile(r"[,;\r\n]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "Ø": "Oe",
                          "å": "aa", "Å": "Aa", "ß": "ss"})  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTICLES = _words("""
    al bin da dal de del der den des di do dos du el la le los te ten ter van von zu zur
""")
_TITLES = _words("dr prof mr mrs ms miss md phd jr sr ii iii iv esq rn dipl ing med dds frcr")
_APOSTROPHES = str.maketrans("", "", "'’`´")
# Words of institutions and of departments that name none.
_GENERIC = _words("""
    academic bedside body board breast centre center central chest city clinic clinical clinics college community
    county department departments diagnostic diagnostics district general group health healthcare hospital hospitals
    imaging infirmary institute institution international laboratory medical medicine memorial mobile national north
    northern nuclear portable practice private public radiography radiology regional research royal saint school
    scanner service services south southern state station street surgery system trust ultrasound unit university
    upper ward western workstation avenue house lower place removed anonymous unknown
""")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


@dataclass(frozen=True, slots=True)
class Needle:
    """One identifier to look for. key: what the squeezed text must hold. pattern: decides, on the folded text.

    anywhere: it is long enough to be looked for in raw bytes; a shorter one only counts in values that are text.
    """

    key: str
    pattern: str
    anywhere: bool = True

    def spans(self, folded: str, squeezed: str) -> list[tuple[int, int]]:
        """Where it stands in a folded text: start and end."""
        if self.key not in squeezed:
            return []
        return [match.span() for match in re.finditer(self.pattern, folded)]


def fold(text: str) -> str:
    """Lower case without diacritics; other scripts in their compatible form (NFKD)."""
    return text.lower() if text.isascii() else "".join(map(fold_character, text))


@lru_cache(maxsize=65536)
def fold_character(character: str) -> str:
    """What a character folds to: none, one or several."""
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold()


def squeeze(folded: str) -> str:
    """The letters and digits of a folded text, run together."""
    return _DROPPED.sub("", folded)


@lru_cache(maxsize=_REMEMBERED)
def of_name(value: str) -> tuple[Needle, ...]:
    """Of a PN value, its component groups apart: each family and given name, and both together in either order."""
    needles: list[Needle] = []
    for group in _NAME_GROUPS.split(value):
        for spelt in _spellings(group):
            components = [_name_words(part) for part in spelt.split("^")]
            for word in (word for component in components for word in component):
                if word not in _PARTICLES:
                    needles += _word(word)
            family, given = components[0], [word for component in components[1:] for word in component]
            orders = (family + given, given + family) if given else (family, family[::-1])
            needles += [needle for words in orders if len(words) > 1 for needle in _together(words)]
    return tuple(dict.fromkeys(needles))


def _name_words(component: str) -> list[str]:
    """The words of a component of a name, titles aside; of one with digits (`NM1`), its letters count from three on."""
    whole = _WORDS.findall(fold(component).translate(_APOSTROPHES))
    words = [("".join(filter(str.isalpha, word)), word.isalpha()) for word in whole]
    return [
        word
        for word, plain in words
        if word not in _TITLES and (len(word) >= (2 if plain else LEAST) or _is_ideographic(word))
    ]


def _spellings(name: str) -> tuple[str, ...]:
    """A name as it stands and as a console without its letters would write it."""
    if name.isascii():
        return (name,)
    latin = anyascii(name)
    return tuple(dict.fromkeys((name, name.translate(_UMLAUTS), latin, latin.replace("oy", "ou"))))  # Greek ου


@lru_cache(maxsize=_REMEMBERED)
def of_value(value: str) -> tuple[Needle, ...]:
    """Of a number, an address, an institution, a device: the whole value, its parts between commas, telling words."""
    needles: list[Needle] = []
    for chunk in dict.fromkeys((value, *_CHUNKS.split(value))):
        words = _WORDS.findall(fold(chunk))
        if len(words) == 1:
            needles += _number(words[0])
        elif words and len("".join(words)) >= SPLIT_FROM and not _GENERIC.issuperset(words):
            needles += _grouped(words) if _is_number(words) else _together(words)
    needles += [needle for word in _WORDS.findall(fold(value)) for needle in _part(word, " " in value.strip())]
    return tuple(dict.fromkeys(needles))


@lru_cache(maxsize=_REMEMBERED)
def of_date(date: str) -> tuple[Needle, ...]:
    """Of a date YYYYMMDD: compact, with separators, in all three orders, with the month's name; not of what is none."""
    try:
        day = datetime.datetime.strptime(date, "%Y%m%d").date()
    except ValueError:
        return ()
    year, month, number = f"{day.year:04d}", f"0?{day.month}", f"0?{day.day}"
    name = f"{_MONTHS[day.month - 1]}[a-z]*"
    orders = [(year, month, number), (number, month, year), (month, number, year)]
    forms = [_DATE_APART.join(parts) for parts in orders]
    forms += [rf"{number}(?:st|nd|rd|th)?{_DATE_APART}?{name}{_DATE_APART}?{year}"]
    forms += [rf"{name}{_DATE_APART}?{number}(?:st|nd|rd|th)?{_DATE_APART}?{year}"]
    forms += [rf"{date}(?:\d{{2,6}})?"]
    return (Needle(year, f"{_NO_DIGIT_BEFORE}(?:{'|'.join(forms)}){_NO_DIGIT_AFTER}"),)


def _word(word: str) -> list[Needle]:
    """A word of a name; of other scripts than alphabets, which write without spaces, two characters suffice."""
    if len(word) < 2:
        return []
    rest = r"[^\W\d_]*" if len(word) > _PREFIX else ""
    word = word[:_PREFIX]
    free = len(word) >= WHOLE_WORD_BELOW or _is_ideographic(word)
    body = ("[\\W_]?".join(word) if len(word) >= SPLIT_FROM else word) + rest
    return [
        Needle(
            word, body if free else f"{_NO_LETTER_BEFORE}{body}{_NO_LETTER_AFTER}", anywhere=free or len(word) > LEAST
        )
    ]


def _together(words: list[str]) -> list[Needle]:
    joined = "".join(words)
    if len(joined) > _PREFIX + WHOLE_WORD_BELOW:
        return []  # its words are found by themselves
    if len(joined) < LEAST and not _is_ideographic(joined):
        return []
    body = _APART.join(words)
    bounded = len(joined) < WHOLE_WORD_BELOW and not _is_ideographic(joined)
    return [Needle(joined, f"{_NO_LETTER_BEFORE}{body}{_NO_LETTER_AFTER}" if bounded else body)]


def _number(text: str) -> list[Needle]:
    """An identifier of one word: of digits with zeros before them, or of letters and digits."""
    if text in _GENERIC:
        return []
    if not text.isdecimal():
        if len(text) >= SPLIT_FROM:
            before = _NO_LETTER_BEFORE if text[0].isalpha() else ""
            return [Needle(text, before + _NUMBER_APART.join(map(re.escape, text)))]
        return [Needle(text, rf"(?<![^\W_]){text}(?![^\W_])", anywhere=False)] if len(text) >= LEAST else []
    core = text.lstrip("0")
    if len(core) < LEAST:
        return []
    long = len(core) >= SPLIT_FROM
    body = _NUMBER_APART.join(core) if long else core
    return [Needle(core, rf"{_NO_DIGIT_BEFORE}0*{body}{_NO_DIGIT_AFTER}", anywhere=long)]


def _grouped(words: list[str]) -> list[Needle]:
    """A number written in groups, such as a telephone's, however they are parted."""
    joined = "".join(words)
    body = _APART.join(_NUMBER_APART.join(word) for word in words)
    before = _NO_LETTER_BEFORE if joined[0].isalpha() else _NO_DIGIT_BEFORE
    return [Needle(joined, f"{before}{body}{_NO_DIGIT_AFTER if joined[-1].isdecimal() else ''}")]


def _part(word: str, of_text: bool) -> list[Needle]:
    """A group of a number by itself; of a text, a word that tells."""
    if any(map(str.isdecimal, word)):
        return _number(word) if len(word) >= LEAST_GROUP else []
    telling = of_text and len(word) >= WHOLE_WORD_BELOW and word not in _GENERIC
    return _word(word) if telling else []


def _is_number(words: list[str]) -> bool:
    """Whether words are the groups of a telephone number or of an identifier: mostly digits."""
    joined = "".join(words)
    return sum(map(str.isdecimal, joined)) > len(joined) / 2


def _is_ideographic(word: str) -> bool:
    return any(unicodedata.category(character) == "Lo" and ord(character) > 0x2E7F for character in word)
