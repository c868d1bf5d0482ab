"""Invented patients, and the many ways in which a name, a number or a date is written by those who type."""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydicom.uid import PYDICOM_ROOT_UID, generate_uid

from radvit.data.phantom.names import INSTITUTIONS, NAMES, PHYSICIANS, STREETS, Institution

Rng = np.random.Generator
_T = TypeVar("_T")
_AUTUMN = ("October", "November", "December")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", *_AUTUMN)
_EPOCH = datetime.date(2008, 1, 7)

# Names that are words, too; some are words of radiology.
_WORD_FAMILIES = ("Young", "Hand", "Brown", "Long", "Foot", "Cross", "White", "Short", "Bone", "Head", "Palmer", "Grey")
_WORD_WOMEN = ("Rose", "Grace", "Faith", "Ivy", "Pearl", "Violet")
_WORD_MEN = ("Mark", "Victor", "Drew", "Frank", "Grant", "Miles")
_EVERY_WORDY = 4  # each fourth patient bears such a name


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient. name: a PN value in character_set. family, given: in ASCII. native: the words as written."""

    number: int
    name: str
    character_set: str
    family: str
    given: str
    native: tuple[str, ...]
    wordy: bool
    female: bool
    id: str
    others: tuple[str, str]
    birth: datetime.date
    phone: str
    street: str
    town: str
    email: str
    social: str
    mother: str
    institution: Institution

    @property
    def names(self) -> tuple[str, ...]:
        """Every word of the name, in ASCII and as written."""
        return tuple(dict.fromkeys((self.family, self.given, *self.native)))

    @property
    def plain_id(self) -> str:
        """The digits of the identifier's longest run, as somebody reads them out."""
        runs = "".join(letter if letter.isdigit() else " " for letter in self.id).split()
        return max(runs, key=len)

    def is_named_in(self, text: str) -> bool:
        """Whether a word of the name occurs in a text: then the key can't ask that the text stay as it is."""
        return any(name.lower() in text.lower() for name in self.names)


@dataclass(frozen=True, slots=True)
class Visit:
    """One study of a patient."""

    number: int
    uid: str
    date: datetime.date
    time: str
    accession: str
    study_id: str
    request: str
    referring: str
    performing: str
    operator: str
    reader: str
    age: str
    prior_uid: str | None


def draw_subject(rng: Rng, number: int) -> Subject:
    """Invent a patient."""
    female = bool(rng.random() < 0.5)
    wordy = number % _EVERY_WORDY == _EVERY_WORDY - 1
    name, family, given, character_set = _wordy_name(rng, number, female) if wordy else _script_name(rng, female)
    street, town = pick(rng, STREETS)
    place = pick(rng, INSTITUTIONS)
    digits = f"{rng.integers(3, 9)}{number % 1000:03d}{rng.integers(1000, 9999)}"
    forms = (digits, f"MRN{digits}", f"{digits[:4]}-{digits[4:]}-QX", f"000{digits}", f"PAT.{digits}")
    return Subject(
        number=number,
        name=name,
        character_set=character_set,
        family=family,
        given=given,
        native=_native_words(name),
        wordy=wordy,
        female=female,
        id=forms[number % len(forms)],
        others=(f"EXT{rng.integers(10**7, 10**8)}", f"K{rng.integers(10**8, 10**9)}"),
        birth=datetime.date(1918, 1, 1) + datetime.timedelta(days=int(rng.integers(0, 365 * 82))),
        phone=f"+{rng.integers(20, 99)} {rng.integers(200, 999)} {rng.integers(1000000, 9999999)}",
        street=f"{rng.integers(11, 989)} {street}",
        town=f"{rng.integers(10000, 99999)} {town}",
        email=f"{_letters(given)}.{_letters(family)}@mailhouse.example".lower(),
        social=f"{rng.integers(100, 899)}-{rng.integers(10, 99)}-{rng.integers(1000, 9999)}",
        mother=f"{pick(rng, NAMES[0].families)[0]}^{pick(rng, NAMES[0].women)[0]}",
        institution=place,
    )


def draw_visits(rng: Rng, seed: int, subject: Subject, count: int) -> list[Visit]:
    """Invent a patient's studies, weeks to years apart."""
    day = max(_EPOCH, subject.birth) + datetime.timedelta(days=int(rng.integers(200, 4000)))
    visits: list[Visit] = []
    for number in range(count):
        staff = [PHYSICIANS[i] for i in rng.choice(len(PHYSICIANS), 4, replace=False)]
        prior = visits[-1].uid if visits else None
        visits.append(_visit(rng, number, make_uid(seed, subject.number, number), day, subject, staff, prior))
        day += datetime.timedelta(days=int(rng.integers(15, 600)))
    return visits


def _visit(
    rng: Rng, number: int, uid: str, day: datetime.date, subject: Subject, staff: list[str], prior: str | None
) -> Visit:
    referring, performing, operator, reader = staff
    return Visit(
        number=number,
        uid=uid,
        date=day,
        time=f"{rng.integers(7, 20):02d}{rng.integers(0, 60):02d}{rng.integers(0, 60):02d}",
        accession=f"AC{subject.number:04d}{number}{rng.integers(10**4, 10**5)}",
        study_id=f"ST{rng.integers(10**6, 10**7)}",
        request=f"RQ{rng.integers(10**6, 10**7)}",
        referring=referring,
        performing=performing,
        operator=operator,
        reader=reader,
        age=f"{(day - subject.birth).days // 365:03d}Y",
        prior_uid=prior,
    )


def make_uid(*parts: object) -> str:
    """A UID that depends on the parts alone, below the root that pydicom gives to its users."""
    return str(generate_uid(prefix=f"{PYDICOM_ROOT_UID}7.", entropy_srcs=["radvit deid cohort", *map(str, parts)]))


def pick(rng: Rng, choices: Sequence[_T]) -> _T:
    """One of several, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def da(day: datetime.date) -> str:
    """A day as a DA value."""
    return f"{day:%Y%m%d}"


def name_forms(subject: Subject) -> tuple[str, ...]:
    """The name in other orders, cases and spellings, as free text has it."""
    family, given = subject.family, subject.given
    bare = strip_accents(" ".join(subject.native))
    native = subject.native
    forms = (
        f"{given} {family}",
        f"{family}, {given}",
        f"{family.upper()} {given.upper()}",
        f"{given.lower()} {family.lower()}",
        f"{family}^{given}",
        f"{family.upper()}_{given.upper()}",
        f"{given[0]}. {family}",
        bare,
        " ".join(native),
        "".join(native) if native[0].isalpha() and not native[0].isascii() else " ".join(reversed(native)),
        f"{given} {family}".replace("-", " "),
    )
    return forms if subject.wordy else (*forms, f"{given}{family}")


def phone_forms(subject: Subject) -> tuple[str, ...]:
    """The telephone number as it stands, and as it is dictated."""
    country, area, number = subject.phone.split()
    return (
        subject.phone,
        f"({area}) {number[:3]}-{number[3:]}",
        f"{area}.{number[:3]}.{number[3:]}",
        f"00{country[1:]}-{area}-{number}",
    )


def date_forms(day: datetime.date) -> tuple[str, ...]:
    """A date as people and machines write it."""
    return (
        f"{day:%Y%m%d}",
        f"{day:%Y-%m-%d}",
        f"{day:%d.%m.%Y}",
        f"{day:%d/%m/%Y}",
        f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year}",
        f"{_FULL_MONTHS[day.month - 1]} {day.day}, {day.year}",
        f"{day.day:02d}{_MONTHS[day.month - 1].upper()}{day.year}",
        f"{day.day} {_MONTHS[day.month - 1]} {day.year}",
        f"{day:%m/%d/%Y}",
        f"{day:%Y/%m/%d}",
        f"{day.day}.{day.month}.{day.year}",
        f"{day:%d.%m.%y}",
    )


def id_forms(subject: Subject) -> tuple[str, ...]:
    """The patient's number with prefixes and padding, or only its digits."""
    return (
        f"MRN {subject.id}",
        f"ID: {subject.id}",
        f"#{subject.plain_id}",
        f"PID={subject.id}",
        f"Pat-Nr. 00{subject.plain_id}",
        f"MRN {subject.plain_id[:4]} {subject.plain_id[4:]}",
        subject.id,
    )


def strip_accents(text: str) -> str:
    """Letters without their marks: what a keyboard without them leaves of a name."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def _script_name(rng: Rng, female: bool) -> tuple[str, str, str, str]:
    script = NAMES[int(rng.integers(len(NAMES)))]
    family, plain_family = pick(rng, script.families)
    given, plain_given = pick(rng, script.women if female else script.men)
    character_set = script.character_set if isinstance(script.character_set, str) else script.character_set[0]
    if script.groups:
        return f"{plain_family}^{plain_given}={family}^{given}", plain_family, plain_given, character_set
    return f"{family}^{given}{pick(rng, script.suffixes)}", plain_family, plain_given, character_set


def _wordy_name(rng: Rng, number: int, female: bool) -> tuple[str, str, str, str]:
    family = _WORD_FAMILIES[number // _EVERY_WORDY % len(_WORD_FAMILIES)]
    given = pick(rng, _WORD_WOMEN if female else _WORD_MEN)
    return f"{family}^{given}", family, given, "ISO_IR 100"


def _native_words(name: str) -> tuple[str, ...]:
    """Family and given name of the last component group."""
    family, given = name.split("=")[-1].split("^")[:2]
    return family, given


def _letters(text: str) -> str:
    return "".join(letter for letter in strip_accents(text) if letter.isalpha() and letter.isascii())
