"""What every file holds: patient, study, series, equipment and the image's own modules, with the key's rows."""

from __future__ import annotations

from radvit.bench.deid.answer import PIXELS, Category, Check, Row, words_of
from radvit.bench.deid.case import Case
from radvit.bench.deid.people import Subject, da, date_forms, id_forms, name_forms, phone_forms, pick
from radvit.bench.deid.phrases import FRAGMENTS, PROTOCOLS, SERIES, STUDIES
from radvit.bench.deid.pictures import Box, Picture
from radvit.bench.deid.place import CHARACTERISTICS, DIRECT, INDIRECT, NONE, Place, tag_of

_MOST_YEARS = 89
_REGION_NEEDED = ("DX", "MG")
_LONGEST = 64  # of an LO, PS3.5 6.2
_CLEARANCE = 2  # heights of the last line below it, from where on the picture may not change


def write_header(place: Place, case: Case) -> None:
    """All modules but pixels."""
    _patient(place, case)
    _study(place, case)
    _series(place, case)
    _equipment(place, case)
    _image(place, case)


def _patient(place: Place, case: Case) -> None:
    """PS3.3 C.7.1.1, C.7.2.2."""
    subject, visit = case.subject, case.visit
    place.put("SpecificCharacterSet", subject.character_set)
    path = place.removed("PatientName", subject.name, words=subject.names)
    place.ask(path, Check.TAG_RETAINED, NONE, subject.name)
    path = place.removed("PatientID", subject.id, words=(subject.id,))
    place.ask(path, Check.TEXT_NOTNULL, NONE, subject.id)
    place.ask(path, Check.PATID_CONSISTENT, DIRECT, subject.id, (subject.id,))
    place.shifted("PatientBirthDate", da(subject.birth), DIRECT)
    place.ask("00100030", Check.TAG_RETAINED, NONE, da(subject.birth))
    place.kept("PatientSex", "F" if subject.female else "M", CHARACTERISTICS)
    place.kept("PatientSize", "1.74", CHARACTERISTICS)
    place.kept("PatientWeight", "71.5", CHARACTERISTICS)
    if int(visit.age[:3]) <= _MOST_YEARS:
        place.kept("PatientAge", visit.age, CHARACTERISTICS)
    elif int(visit.age[:3]) > _MOST_YEARS + 1:  # 090Y stands for all that are older
        place.removed("PatientAge", visit.age, INDIRECT)
    else:
        place.put("PatientAge", visit.age)


def _study(place: Place, case: Case) -> None:
    """PS3.3 C.7.2.1."""
    visit = case.visit
    place.uid("StudyInstanceUID", visit.uid, filled=True)
    place.shifted("StudyDate", da(visit.date), filled=True)
    place.present("StudyTime", visit.time, filled=False)
    for keyword, value in (
        ("AccessionNumber", visit.accession),
        ("StudyID", visit.study_id),
        ("ReferringPhysicianName", visit.referring),
    ):
        path = place.removed(keyword, value)
        place.ask(path, Check.TAG_RETAINED, NONE, value)
    description(place, case, "StudyDescription", STUDIES[case.kind.modality])


def _series(place: Place, case: Case) -> None:
    """PS3.3 C.7.3.1, C.7.4.1."""
    day = da(case.visit.date)
    place.present("Modality", case.kind.modality)
    place.uid("SeriesInstanceUID", case.series_uid, filled=True)
    place.kept("SeriesNumber", str(case.series + 1))
    place.shifted("SeriesDate", day)
    place.put("SeriesTime", case.visit.time)
    description(place, case, "SeriesDescription", SERIES[case.kind.modality])
    description(place, case, "ProtocolName", PROTOCOLS[case.kind.modality])
    place.removed("OperatorsName", case.visit.operator)
    place.removed("PerformingPhysicianName", case.visit.performing)
    place.kept("BodyPartExamined", pick(case.rng, case.kind.parts))
    if case.frame_uid:
        place.uid("FrameOfReferenceUID", case.frame_uid, filled=True)


def _equipment(place: Place, case: Case) -> None:
    """PS3.3 C.7.5.1."""
    institution, (maker, model, software) = case.subject.institution, case.kind.maker
    place.kept("Manufacturer", maker)
    place.kept("ManufacturerModelName", model)
    place.kept("SoftwareVersions", software)
    place.removed("InstitutionName", institution.name, INDIRECT, (institution.issuer,))
    place.removed("InstitutionAddress", institution.address, INDIRECT, institution.address.split()[-2:])
    place.removed("StationName", case.station, INDIRECT, (case.station,))
    place.removed("DeviceSerialNumber", f"SN{case.subject.number:04d}{case.visit.accession[-5:]}", INDIRECT)


def _image(place: Place, case: Case) -> None:
    """General Image and the modules of the kind."""
    day = da(case.visit.date)
    place.present("SOPClassUID", case.kind.sop_class)
    place.ask("00080016", Check.TEXT_RETAINED, NONE, case.kind.sop_class, (str(case.kind.sop_class),))
    place.uid("SOPInstanceUID", case.sop_uid, filled=True)
    place.kept("InstanceNumber", str(case.number + 1))
    place.shifted("AcquisitionDate", day)
    place.shifted("ContentDate", day, filled=True)
    place.put("AcquisitionTime", case.visit.time)
    place.put("ContentTime", case.visit.time)
    for keyword, value in case.kind.attributes.items():
        place.kept(keyword, value)
    for keyword in case.kind.empty:
        place.put(keyword, [])
    if case.kind.pointers:
        place.put("FrameIncrementPointer", [tag_of(keyword) for keyword in case.kind.pointers])
    if case.kind.modality in _REGION_NEEDED:
        _region(place, case)
    if "ImageOrientationPatient" in case.kind.attributes:
        place.kept("ImagePositionPatient", ["-120", "-118.5", f"{2.5 * case.number:g}"])


def _region(place: Place, case: Case) -> None:
    """The anatomic region and the view in codes, which DX and MG demand (PS3.3 10.5, C.8.11.7)."""
    breast = case.kind.modality == "MG"
    _code(place.item("AnatomicRegionSequence"), *(("76752008", "Breast") if breast else ("51185008", "Chest")))
    view = place.item("ViewCodeSequence")
    _code(view, *(("399368009", "medio-lateral oblique") if breast else ("399348003", "antero-posterior")))
    view.put("ViewModifierCodeSequence", [])


def _code(item: Place, value: str, meaning: str) -> None:
    item.kept("CodeValue", value)
    item.kept("CodingSchemeDesignator", "SCT")
    item.kept("CodeMeaning", meaning)


def description(place: Place, case: Case, keyword: str, phrases: tuple[str, ...]) -> None:
    """A description, every other time with something about the patient in it."""
    rng, subject = case.rng, case.subject
    good = [phrase for phrase in phrases if not subject.is_named_in(phrase)]
    words = pick(rng, good) if good else "3 planes"
    if rng.random() < 0.5:
        place.cleaned(keyword, words, (), words_of(words))
        return
    told = identity_in_text(case)
    text = pick(rng, FRAGMENTS).format(words, told[0])
    if len(text) > _LONGEST:
        text, told = f"{words} {subject.plain_id}", (subject.plain_id, (subject.plain_id,), DIRECT)
    place.named("identity in a description").cleaned(keyword, text, told[1], words_of(words), told[2])


def identity_in_text(case: Case) -> tuple[str, tuple[str, ...], Category]:
    """Something about the patient as it is typed: the text, the words of it that must go, and what they are."""
    rng, subject, visit = case.rng, case.subject, case.visit
    birth, day = pick(rng, date_forms(subject.birth)), pick(rng, date_forms(visit.date))
    name, number, phone = pick(rng, name_forms(subject)), pick(rng, id_forms(subject)), pick(rng, phone_forms(subject))
    parts = name_parts(subject, name)
    referring = visit.referring.split("^")[0]
    choices: tuple[tuple[str, tuple[str, ...], Category], ...] = (
        (name, parts, DIRECT),
        (f"{name} {birth} MRN {subject.id}", (*parts, birth, subject.id), DIRECT),
        (f"DOB {birth}", (birth,), DIRECT),
        (number, digits_of(number), DIRECT),
        (f"Acc {visit.accession}", (visit.accession,), DIRECT),
        (f"Dr. {referring}", (referring,), DIRECT),
        (f"tel {phone}", (phone,), DIRECT),
        (subject.email, (subject.email,), DIRECT),
        (f"done {day}", (day,), INDIRECT),
        (f"from {subject.institution.name}", (subject.institution.issuer,), INDIRECT),
    )
    return pick(rng, choices)


def name_parts(subject: Subject, form: str) -> tuple[str, ...]:
    """The words of a name form that must go: an initial gives nobody away."""
    held = (name for name in subject.names if name.lower() in form.lower())
    return tuple(dict.fromkeys((*held, *(word for word in words_of(form) if len(word) > 1))))


def digits_of(form: str) -> tuple[str, ...]:
    """The words of a form of an identifier that hold digits."""
    return tuple(word for word in words_of(form) if any(letter.isdigit() for letter in word))


def write_pixels(place: Place, picture: Picture, flagged: str, bits: int) -> None:
    """Image Pixel (PS3.3 C.7.6.3), and what must become of the picture.

    flagged: BurnedInAnnotation, or empty. bits: of a grey value.
    """
    stored = picture.stored
    colour, several = stored.ndim == 3 and stored.shape[-1] == 3, stored.ndim == 3 and stored.shape[-1] != 3
    rows, columns = stored.shape[1:] if several else stored.shape[:2]
    grey = "MONOCHROME1" if picture.dark else "MONOCHROME2"
    place.present("SamplesPerPixel", 3 if colour else 1)
    place.kept("PhotometricInterpretation", "RGB" if colour else grey)
    if colour:
        place.put("PlanarConfiguration", 0)
    if several:
        place.kept("NumberOfFrames", str(stored.shape[0]))
    place.kept("Rows", rows)
    place.kept("Columns", columns)
    used = 8 if colour else bits
    place.kept("BitsAllocated", 8 * stored.itemsize)
    place.kept("BitsStored", used)
    place.kept("HighBit", used - 1)
    place.put("PixelRepresentation", 0)
    if flagged:
        place.put("BurnedInAnnotation", flagged)
    _pixel_rows(place, picture)


def _pixel_rows(place: Place, picture: Picture) -> None:
    """Each line must be gone; the markers, and all that lies well below the lines, must be as they were."""
    for line in picture.lines:
        place.rows.append(_pixel_row(place, Check.PIXELS_HIDDEN, line.category, line.text, line.box, line.glyphs))
    for line in picture.markers:
        place.rows.append(_pixel_row(place, Check.PIXELS_RETAINED, NONE, line.text, line.box))
    place.rows.append(_pixel_row(place, Check.PIXELS_RETAINED, NONE, "", _below(picture)))


def _below(picture: Picture) -> Box | None:
    """What lies below the lines, or None, the whole picture, where there are none."""
    if not picture.lines:
        return None
    last = picture.lines[-1].box
    rows, columns = picture.stored.shape[:2]  # no picture of several frames has lines
    return 0, last[3] + _CLEARANCE * (last[3] - last[1]), columns, rows


def _pixel_row(
    place: Place, check: Check, category: Category, text: str, box: Box | None, glyphs: tuple[Box, ...] = ()
) -> Row:
    kind = "burned-in text" if check is Check.PIXELS_HIDDEN else "marker" if text else "picture"
    return Row(place.file, PIXELS, check, category, text, (), kind, place.subject.number, box, glyphs)
