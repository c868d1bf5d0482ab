"""Make the cohort: patients, studies, series and images of all kinds, with identity planted in each, and the key."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, config
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from radvit.bench.deid import plants, plants_deep, plants_odd
from radvit.bench.deid.answer import AnswerKey, Check, Row, write_key
from radvit.bench.deid.case import Case
from radvit.bench.deid.header import write_header, write_pixels
from radvit.bench.deid.kinds import KINDS, Kind
from radvit.bench.deid.people import Rng, Subject, Visit, da, draw_subject, draw_visits, make_uid
from radvit.bench.deid.pictures import MARKERS, Picture, draw_picture, identity_lines
from radvit.bench.deid.place import DIRECT, Place
from radvit.dicom.quiet import silence_pydicom
from radvit.dicom.write import silent_stdout

logging.getLogger("openjpeg").setLevel(logging.WARNING)  # it tells of each tile

Plant = Callable[[Place, Case], None]
# Every file holds four of these, in turn, so that all of them stand beside all kinds.
PLANTS: tuple[Plant, ...] = (
    plants.contact,
    plants_deep.nested,
    plants_odd.addresses,
    plants_deep.private,
    plants.staff,
    plants_deep.references,
    plants_odd.coded_names,
    plants_deep.graphics,
    plants_odd.body_part,
    plants.procedure,
    plants_deep.unknown,
    plants_odd.misplaced_names,
    plants.long_text,
    plants_deep.original_attributes,
    plants_odd.uid_in_text,
    plants.institution,
    plants_deep.around,
    plants_odd.last_image_type,
    plants.other_numbers,
    plants_deep.safe_private,
    plants_odd.staff_in_text,
    plants_deep.signature,
    plants_odd.padded,
    plants_odd.standard_codes,
    plants_odd.very_old,
    plants_odd.word_names,
)
_PLANTS_A_FILE = 5
_SYNTAXES: tuple[UID, ...] = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    ExplicitVRLittleEndian,
    RLELossless,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
_BURNED = ("CR", "DX", "US", "SC")
_FLAGS = ("YES", "", "", "YES", "NO")  # BurnedInAnnotation of pictures with text: unsaid, said, and denied
_HONEST_FLAGS = ("NO", "")
_STUDIES = (1, 2, 1, 3, 1)  # of each patient, in turn
_LEAST_SECRET = 5  # letters of a string that is looked for in all of a file


@dataclass(frozen=True, slots=True)
class Cohort:
    """Where the images lie, and what must become of them."""

    folder: Path
    key: AnswerKey


def write_cohort(folder: Path, studies: int, seed: int) -> Cohort:
    """Write `folder/images/...` and the answer key beside it. The same seed gives the same bytes."""
    silence_pydicom()
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE  # much of it is wrong on purpose
    rows: list[Row] = []
    secrets: dict[str, tuple[str, ...]] = {}
    try:
        for number, (case, file) in enumerate(_cases(studies, seed)):
            rows.extend(_write_file(folder / "images" / file, file, case, number))
            secrets[file] = _secrets(case)
    finally:
        config.settings.writing_validation_mode = before
    key = AnswerKey(tuple(rows), secrets)
    write_key(folder, key)
    return Cohort(folder / "images", key)


def _cases(studies: int, seed: int) -> Iterator[tuple[Case, str]]:
    """Every image of so many studies, with its file's name."""
    made = patient = 0
    while made < studies:
        rng = np.random.default_rng([seed, patient])
        subject = draw_subject(rng, patient)
        count = min(_STUDIES[patient % len(_STUDIES)], studies - made)
        for visit in draw_visits(rng, seed, subject, count):
            yield from _study_cases(rng, subject, visit, KINDS[made % len(KINDS)], made)
            made += 1
        patient += 1


def _study_cases(rng: Rng, subject: Subject, visit: Visit, kind: Kind, made: int) -> Iterator[tuple[Case, str]]:
    """One to four images of a study, in one or two series that share a frame of reference."""
    places = [(0, 0), (0, 1), (1, 0), (1, 1)][: (1, 2, 3, 2, 4)[made % 5]]
    uids = {place: make_uid(visit.uid, *place) for place in places}
    frame_uid = make_uid(visit.uid, "frame") if kind.reference else ""
    for place, sop_uid in uids.items():
        series, number = place
        others = tuple(uid for other, uid in uids.items() if other != place)
        series_uid = make_uid(visit.uid, "series", series)
        case = Case(rng, subject, visit, kind, sop_uid, series_uid, frame_uid, series, number, others)
        yield case, f"P{subject.number:04d}/S{made:04d}/{series}/{number}.dcm"


def _write_file(path: Path, file: str, case: Case, number: int) -> list[Row]:
    dataset = Dataset()
    dataset.file_meta, dataset.preamble = _file_meta(case), b"\0" * 128
    rows: list[Row] = []
    place = Place(dataset, case.subject, file, rows)
    for check in (Check.UID_CHANGED, Check.UID_CONSISTENT):
        place.ask("00020003", check, DIRECT, case.sop_uid, (case.sop_uid,))
    write_header(place, case)
    for offset in range(_PLANTS_A_FILE):
        plant = PLANTS[(number * _PLANTS_A_FILE + offset) % len(PLANTS)]
        plant(place.named(plant.__name__.replace("_", " ")), case)
    picture = _picture(case, number)
    flags = _FLAGS if picture.lines else _HONEST_FLAGS
    write_pixels(place, picture, flags[number % len(flags)], case.kind.bits)
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(dataset, path, picture, _SYNTAXES[number % len(_SYNTAXES)])
    return rows


def _picture(case: Case, number: int) -> Picture:
    """Two of three pictures of the kinds that consoles write on hold text, every other of them with a marker."""
    burned = case.kind.modality in _BURNED and number % 3 != 0
    texts = identity_lines(case.rng, case.subject, case.visit) if burned else []
    marked = case.kind.modality in _BURNED and number % 2 == 0
    return draw_picture(case.rng, case.kind, texts, MARKERS[number % len(MARKERS)] if marked else "")


def _file_meta(case: Case) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(case.kind.sop_class)
    meta.MediaStorageSOPInstanceUID = UID(case.sop_uid)
    meta.ImplementationClassUID = UID(make_uid("implementation"))
    return meta


def _save(dataset: Dataset, path: Path, picture: Picture, syntax: UID) -> None:
    stored: npt.NDArray[np.unsignedinteger] = picture.stored
    if syntax.is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        with silent_stdout():
            dataset.compress(syntax, stored, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        data = (stored if syntax.is_little_endian else stored.astype(stored.dtype.newbyteorder(">"))).tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OW" if stored.itemsize > 1 else "OB"
    dataset.save_as(path, enforce_file_format=True)


def _secrets(case: Case) -> tuple[str, ...]:
    """What names the patient and is no word: it may stand nowhere in the copy, whatever the attribute."""
    subject, visit = case.subject, case.visit
    names = () if subject.wordy else subject.names
    found = (*names, subject.id, *subject.others, subject.email, subject.social, subject.phone.split()[-1])
    found += (
        da(subject.birth),
        visit.accession,
        visit.study_id,
        visit.request,
        visit.uid,
        case.sop_uid,
        case.series_uid,
    )
    return tuple(dict.fromkeys(word for word in found if len(word.encode()) >= _LEAST_SECRET))
