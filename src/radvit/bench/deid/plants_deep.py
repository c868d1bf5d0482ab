"""Identity within items, private blocks, and all that a file may hold beside its attributes."""

from __future__ import annotations

from radvit.bench.deid.answer import PREAMBLE, Check
from radvit.bench.deid.case import Case
from radvit.bench.deid.people import da, date_forms, make_uid, name_forms, pick
from radvit.bench.deid.place import DIRECT, INDIRECT, NONE, SAFE_PRIVATE, Place

# Sequences that PS3.15 Table E.1-1 leaves alone, one in another.
_CHAIN = (
    "SharedFunctionalGroupsSequence",
    "FrameAnatomySequence",
    "AnatomicRegionSequence",
    "AnatomicRegionModifierSequence",
    "EquivalentCodeSequence",
)
PREAMBLE_BYTES = 128
_SIGNATURE = bytes(range(48))


def nested(place: Place, case: Case) -> None:
    """A name, a number and a date at each depth from 1 to 5."""
    subject = case.subject
    for depth, keyword in enumerate(_CHAIN, start=1):
        place = place.item(keyword).named(f"depth {depth}")
        place.removed("PatientName", f"{subject.family}^{subject.given}", words=(subject.family, subject.given))
        place.removed("PatientID", subject.id, words=(subject.id,))
        place.shifted("StudyDate", da(case.visit.date))
        name = pick(case.rng, name_forms(subject)[:4])
        parts = tuple(part for part in (subject.family, subject.given) if part.lower() in name.lower())
        place.removed("CodeMeaning", f"Region {name}", words=parts)
        place.uid("FrameOfReferenceUID", make_uid("nested", case.visit.uid))


def original_attributes(place: Place, case: Case) -> None:
    """What a desk corrected (PS3.3 C.12.1.1.9): the wrong values identify as well as the right ones."""
    subject = case.subject
    item = place.item("OriginalAttributesSequence")
    item.removed("SourceOfPreviousValues", subject.institution.name, INDIRECT, (subject.institution.issuer,))
    item.shifted("AttributeModificationDateTime", f"{da(case.visit.date)}{case.visit.time}")
    item.put("ModifyingSystem", "DESK")
    item.put("ReasonForTheAttributeModification", "CORRECT")
    before = item.item("ModifiedAttributesSequence")
    before.removed("PatientName", f"{subject.given}^{subject.family}", words=(subject.family, subject.given))
    before.removed("PatientID", f"TMP{subject.plain_id}")
    before.shifted("PatientBirthDate", da(subject.birth), DIRECT)


def references(place: Place, case: Case) -> None:
    """Other images of the study, the study before, and the patient, by UID."""
    for keyword in ("ReferencedImageSequence", "SourceImageSequence"):
        for uid in case.siblings[:2]:
            item = place.item(keyword)
            item.put("ReferencedSOPClassUID", case.kind.sop_class)
            item.uid("ReferencedSOPInstanceUID", uid)
    item = place.item("ReferencedStudySequence")
    item.put("ReferencedSOPClassUID", "1.2.840.10008.3.1.2.3.1")
    item.uid("ReferencedSOPInstanceUID", case.visit.prior_uid or case.visit.uid)
    item = place.item("ReferencedPerformedProcedureStepSequence")
    item.put("ReferencedSOPClassUID", "1.2.840.10008.3.1.2.3.3")
    item.uid("ReferencedSOPInstanceUID", make_uid("step", case.visit.uid))
    place.uid("InstanceCreatorUID", make_uid("creator", case.subject.institution.issuer))
    place.uid("IrradiationEventUID", [make_uid("event", case.sop_uid), make_uid("event", case.visit.uid)])


def private(place: Place, case: Case) -> None:
    """Identity that only the maker knows of: in plain types, in an item, and in unknown bytes."""
    subject = case.subject
    name = f"{subject.family}^{subject.given}"
    for group, creator, element, vr, value, words in (
        (0x0009, "RADVIT PHANTOM PACS", 0x01, "LO", subject.id, (subject.id,)),
        (0x0009, "RADVIT PHANTOM PACS", 0x02, "PN", name, (subject.family, subject.given)),
        (0x0029, "SIEMENS CSA HEADER", 0x20, "UN", _even(f"<PatientName>{name}</PatientName>"), (subject.family,)),
        (
            0x0021,
            "RADVIT PHANTOM RIS",
            0x35,
            "LT",
            f"{name} {subject.phone}",
            (subject.family, subject.given),
        ),
        (0x7FE1, "RADVIT PHANTOM RAW", 0x10, "OB", _even(name), (subject.family,)),
    ):
        path = place.private(group, creator, element, vr, value)
        place.ask(path, Check.TEXT_REMOVED, DIRECT, str(value), words)
    path = place.private(0x0009, "RADVIT PHANTOM PACS", 0x03, "DA", da(case.visit.date))
    place.ask(path, Check.DATE_SHIFTED, INDIRECT, da(case.visit.date), (da(case.visit.date),))
    path = place.private(0x0009, "RADVIT PHANTOM PACS", 0x04, "UI", case.visit.uid)
    place.ask(path, Check.UID_CHANGED, DIRECT, case.visit.uid, (case.visit.uid,))


def safe_private(place: Place, case: Case) -> None:
    """Numbers of private attributes that PS3.15 Table E.3.10-1 lists as safe, beside ones that it does not list."""
    for group, creator, element, vr, value in (
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", 800.0),
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "1000"),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", ["700", "0", "0", "0"]),
        (0x7053, "Philips PET Private Group", 0x00, "DS", "0.000512"),
    ):
        path = place.private(group, creator, element, vr, value)
        words = tuple(str(part).rstrip("0").rstrip(".") if vr == "FL" else str(part) for part in _listed(value))
        place.ask(path, Check.TEXT_RETAINED, NONE, str(value), words[:1], SAFE_PRIVATE)
    path = place.private(0x0019, "SIEMENS MR HEADER", 0x5A, "LO", case.subject.family)
    place.ask(path, Check.TEXT_REMOVED, DIRECT, case.subject.family, (case.subject.family,))


def unknown(place: Place, case: Case) -> None:
    """Attributes of unknown type, some of which no dictionary knows, with a name in their bytes."""
    subject = case.subject
    name = f"{subject.family}^{subject.given}"
    parts = subject.family, subject.given
    place.removed("PatientBirthName", _even(name), words=parts, vr="UN")
    place.removed(0x00101FF0, _even(name), words=parts, vr="UN")
    place.removed(0x00080FF2, f"{name} {subject.id}", words=(*parts, subject.id), vr="LO")


def graphics(place: Place, case: Case) -> None:
    """An overlay with comments and its own date, a curve, and an icon."""
    subject, day = case.subject, da(case.visit.date)
    place.put(0x60000010, 64, "US")
    place.put(0x60000011, 64, "US")
    place.put(0x60000040, "G", "CS")
    place.put(0x60000050, [1, 1], "SS")
    place.put(0x60000100, 1, "US")
    place.put(0x60000102, 0, "US")
    place.absent(0x60003000, bytes(case.rng.integers(0, 255, 512, dtype="u1")), vr="OW")
    place.removed(0x60004000, f"{subject.family} {subject.given}", words=(subject.family, subject.given), vr="LT")
    place.removed(0x60001500, f"ROI {subject.family}", words=(subject.family,), vr="LO")
    place.absent(0x50003000, _SIGNATURE, vr="OW")
    place.removed(0x50002500, f"ECG {subject.family}", words=(subject.family,), vr="LO")
    place.shifted("OverlayDate", day)
    place.shifted("CurveDate", day)
    icon = place.item("IconImageSequence")
    for keyword, value in (("SamplesPerPixel", 1), ("Rows", 8), ("Columns", 8), ("BitsAllocated", 8)):
        icon.put(keyword, value)
    icon.put("PhotometricInterpretation", "MONOCHROME2")
    icon.put("BitsStored", 8)
    icon.put("HighBit", 7)
    icon.put("PixelRepresentation", 0)
    icon.absent("PixelData", bytes(range(64)), vr="OB")


def signature(place: Place, case: Case) -> None:
    """A digital signature, by which the original can be recognised."""
    item = place.item("DigitalSignaturesSequence")
    item.put("MACIDNumber", 1)
    item.uid("DigitalSignatureUID", make_uid("signature", case.sop_uid))
    item.shifted("DigitalSignatureDateTime", f"{da(case.visit.date)}{case.visit.time}")
    item.put("CertificateType", "X509_1993_SIG")
    item.absent("CertificateOfSigner", _SIGNATURE, DIRECT)
    item.absent("Signature", _SIGNATURE)


def around(place: Place, case: Case) -> None:
    """The preamble, the file meta group, and padding behind all."""
    subject = case.subject
    name = f"{subject.family} {subject.given}"
    meta = place.dataset.file_meta
    for keyword, value in (
        ("SourceApplicationEntityTitle", case.station),
        ("SendingApplicationEntityTitle", case.station),
        ("ReceivingApplicationEntityTitle", f"PACS_{subject.institution.issuer[:8]}"),
    ):
        setattr(meta, keyword, value)
        place.ask(f"{meta[keyword].tag:08X}", Check.TEXT_REMOVED, INDIRECT, value, (value,))
    meta.PrivateInformationCreatorUID = make_uid("creator", subject.institution.issuer)
    meta.PrivateInformation = _even(name)
    place.ask("00020102", Check.TEXT_REMOVED, DIRECT, name, (subject.family, subject.given))
    place.dataset.preamble = f"{name} {subject.id}".encode()[:PREAMBLE_BYTES].ljust(PREAMBLE_BYTES, b"\0")
    place.ask(PREAMBLE, Check.TEXT_REMOVED, DIRECT, name, (subject.family, subject.given, subject.id))
    padding = _even(f"{name} {pick(case.rng, date_forms(subject.birth))}")
    place.removed("DataSetTrailingPadding", padding, words=(subject.family, subject.given), vr="OB")


def _even(text: str) -> bytes:
    """Bytes of an even number (PS3.5 7.1.1)."""
    return text.encode() + b"\0" * (len(text.encode()) % 2)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [value]
