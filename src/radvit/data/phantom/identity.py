"""Invented people and visits: everything a real header says about a patient, and nothing of anyone real."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass

import numpy as np

from radvit.data.phantom.names import INSTITUTIONS, NAMES, PHYSICIANS, STREETS, Institution
from radvit.dicom.written import Person, Visit

Rng = np.random.Generator
_FIRST_DAY = datetime.date(2009, 1, 5)
_PROCEDURES = (("XRCHPA", "Chest X-ray PA"), ("XRCHAP", "Chest X-ray AP bedside"), ("RTX2", "Thorax frontal"))


@dataclass(frozen=True, slots=True)
class Identity:
    """A patient and the institution that keeps their record."""

    person: Person
    institution: Institution
    birth: datetime.date


def uid(*parts: object) -> str:
    """A UID below 2.25 that depends on the parts alone (PS3.5 B.2: a 128-bit number)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def draw_identity(rng: Rng, patient: int, female: bool) -> Identity:
    """Invent a patient."""
    script = NAMES[int(rng.choice(len(NAMES), p=_script_weights()))]
    name, plain = script.draw(rng, female)
    place = INSTITUTIONS[int(rng.integers(len(INSTITUTIONS)))]
    birth = datetime.date(1930, 1, 1) + datetime.timedelta(days=int(rng.integers(0, 365 * 62)))
    patient_id = _patient_id(rng, patient)
    phone = f"+{rng.integers(20, 99)} {rng.integers(200, 999)} {rng.integers(1000000, 9999999)}"
    street, town = STREETS[int(rng.integers(len(STREETS)))]
    address = f"{rng.integers(11, 989)} {street}, {rng.integers(10000, 99999)} {town}"
    others = tuple(f"EXT{rng.integers(10**7, 10**8 - 1)}" for _ in range(int(rng.integers(0, 3))))
    history = f"{plain}, born {birth.isoformat()}, known nodules? Call {phone}. MRN {patient_id}"
    comments = f"{plain} ({patient_id}) asks for copies to {address}" if rng.random() < 0.5 else ""
    person = Person(
        name=name,
        plain_name=plain,
        character_set=script.character_set,
        patient_id=patient_id,
        other_ids=others,
        issuer=place.issuer,
        birth_date=_da(birth),
        birth_name=name if female and rng.random() < 0.2 and "=" not in name else "",
        sex="F" if female else "M",
        address=address,
        phone=phone,
        comments=comments,
        history=history,
    )
    return Identity(person, place, birth)


def draw_dates(rng: Rng, studies: int) -> list[datetime.date]:
    """Days of a patient's studies, rising over up to some years."""
    day = _FIRST_DAY + datetime.timedelta(days=int(rng.integers(0, 4500)))
    days = [day]
    for _ in range(studies - 1):
        days.append(days[-1] + datetime.timedelta(days=int(rng.integers(60, 700))))
    return days


def draw_visit(rng: Rng, seed: int, patient: int, study: int, identity: Identity, day: datetime.date) -> Visit:
    """Invent one study of a patient."""
    person, place = identity.person, identity.institution
    referring, performing, reader, operator = (PHYSICIANS[i] for i in rng.choice(len(PHYSICIANS), 4, replace=False))
    personal = rng.random() < 0.3
    description = f"CHEST {person.plain_name} {day.isoformat()}"[:64] if personal else "CHEST FRONTAL"
    return Visit(
        study_uid=uid(seed, patient, study, "study"),
        study_id=f"S{rng.integers(10**6, 10**7 - 1)}",
        accession=f"ACC{patient:05d}{study}{rng.integers(10**4, 10**5 - 1)}",
        date=_da(day),
        time=f"{rng.integers(7, 20):02d}{rng.integers(0, 60):02d}{rng.integers(0, 60):02d}",
        age=f"{min((day - identity.birth).days // 365, 999):03d}Y",
        description=description,
        procedure=_PROCEDURES[int(rng.integers(len(_PROCEDURES)))],
        request_id=f"RQ{rng.integers(10**6, 10**7 - 1)}",
        referring=referring,
        performing=performing,
        reader=reader,
        operator=operator,
        institution=place.name,
        institution_address=place.address,
        department="RADIOLOGY",
        previous_uid=uid(seed, patient, study - 1, "study") if study else None,
        corrected_id=f"TMP{rng.integers(10**7, 10**8 - 1)}" if rng.random() < 0.3 else None,
    )


def secrets_of(person: Person, visits: list[Visit], stations: list[str]) -> list[str]:
    """Every string of the headers that tells who the patient is or where and when they were; dates as YYYYMMDD."""
    found = [person.name, *_name_parts(person.name), person.plain_name, *_name_parts(person.plain_name)]
    found += [person.patient_id, *person.other_ids, person.issuer, person.birth_date, _iso(person.birth_date)]
    found += [person.address, person.phone, person.comments, person.history]
    for visit in visits:
        found += [visit.accession, visit.study_id, visit.request_id, visit.date, visit.corrected_id or ""]
        found += [visit.institution, visit.institution_address]
        for name in (visit.referring, visit.performing, visit.reader, visit.operator):
            found += [name, *_name_parts(name)]
    return sorted({text for text in (*found, *stations) if text})


def _name_parts(name: str) -> list[str]:
    words = name.replace("^", " ").replace("=", " ").replace(",", " ").split()
    return [word for word in words if len(word.encode()) >= 5]


def _patient_id(rng: Rng, patient: int) -> str:
    number = int(rng.integers(10**3, 10**4))
    return (f"MRN{patient:05d}{number}", f"{patient:05d}-{number}-QX", f"PAT.{patient:05d}.{number}")[patient % 3]


def _da(day: datetime.date) -> str:
    return day.strftime("%Y%m%d")


def _iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


def _script_weights() -> list[float]:
    total = sum(script.weight for script in NAMES)
    return [script.weight / total for script in NAMES]
