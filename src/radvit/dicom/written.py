"""Records of what is to be written into a DICOM file; they hold identity, and only invented patients have any here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """An invented patient. name: PN with component groups. plain_name: as burned into pixels, ASCII.

    character_set: SpecificCharacterSet, one or several values. birth_date: YYYYMMDD. sex: F, M or O.
    """

    name: str
    plain_name: str
    character_set: str | list[str]
    patient_id: str
    other_ids: tuple[str, ...]
    issuer: str
    birth_date: str
    birth_name: str
    sex: str
    address: str
    phone: str
    comments: str
    history: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One invented study. date: YYYYMMDD. time: HHMMSS. previous_uid: of the study before it, if any."""

    study_uid: str
    study_id: str
    accession: str
    date: str
    time: str
    age: str
    description: str
    procedure: tuple[str, str]
    request_id: str
    referring: str
    performing: str
    reader: str
    operator: str
    institution: str
    institution_address: str
    department: str
    previous_uid: str | None = None
    previous_sop_uid: str | None = None
    corrected_id: str | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """One invented exposure and the machine that took it.

    kind: CR or DX. view: PA or AP. imager_mm, patient_mm: pixel size at the detector and in the patient, None where
    the file shall not tell.
    """

    kind: str
    view: str
    series_uid: str
    sop_uid: str
    series_number: int
    number: int
    time: str
    manufacturer: str
    model: str
    station: str
    serial: str
    software: str
    detector_id: str
    imager_mm: float | None
    patient_mm: float | None
    magnification: float
    source_to_detector_mm: int
    kvp: int
    exposure_ms: int
    exposure_mas: int
    burned_in: bool
    comments: str = ""
    private: bool = True


@dataclass(frozen=True, slots=True)
class Coding:
    """How grey values become stored integers.

    bits: BitsStored. photometric: MONOCHROME1 or MONOCHROME2. rescale: slope and intercept, or None. windows: (center,
    width, explanation) in rescaled units. voi_function: LINEAR, LINEAR_EXACT or SIGMOID. syntax: a key of
    `write.SYNTAXES`.
    """

    bits: int
    photometric: str
    rescale: tuple[float, float] | None
    windows: tuple[tuple[float, float, str], ...]
    voi_function: str
    syntax: str
