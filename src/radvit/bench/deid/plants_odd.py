"""Identity where nobody looks for it: attributes of another purpose, codes, and text about other things."""

from __future__ import annotations

from radvit.bench.deid.answer import Check, words_of
from radvit.bench.deid.case import Case
from radvit.bench.deid.people import date_forms, name_forms, pick
from radvit.bench.deid.phrases import FINDINGS
from radvit.bench.deid.place import DIRECT, INDIRECT, NONE, Place

_REGIONS_UID = "1.2.840.10008.6.1.2"  # of CID 4, PS3.6 Table A-3
_STRANGERS = ("Haverkampinsky", "Oduyalemi", "Brzezicki", "Fontanarosi", "Lindenquister", "Vasquerano")
_CALLS = ("Discussed with Dr. {}", "Read by Prof. {}", "cc: Dr {}", "Seen by nurse {}", "Mrs. {} informed", "{}, MD")
_OLD = "97-year-old"


def misplaced_names(place: Place, case: Case) -> None:
    """A name in attributes that PS3.15 Table E.1-1 leaves alone."""
    subject = case.subject
    name, gone = f"{subject.family} {subject.given}", (subject.family, subject.given)
    for keyword in ("ContrastBolusRoute", "SecondaryCaptureDeviceID", "PixelSpacingCalibrationDescription"):
        place.removed(keyword, name, words=gone)
    place.removed("DetectorDescription", f"detector of {name}", words=gone)
    place.removed("GeneratorID", name, INDIRECT, gone)
    place.removed("TransducerType", subject.family.upper()[:16], words=(subject.family[:16],))
    place.removed("FilterType" if case.kind.modality != "CT" else "AnodeTargetMaterial", subject.family.upper()[:16])


def body_part(place: Place, case: Case) -> None:
    """A name and number typed into the body part, beyond what its VR allows."""
    subject = case.subject
    place.removed("BodyPartExamined", f"{subject.family} {subject.plain_id}", words=(subject.family, subject.plain_id))


def last_image_type(place: Place, case: Case) -> None:
    """A name behind the values of ImageType."""
    family = case.subject.family
    values = [*place.dataset.ImageType, family.upper()[:16]]
    path = place.removed("ImageType", values, words=(family[:16],))
    if not case.subject.is_named_in(" ".join(values[:2])):
        place.ask(path, Check.TEXT_RETAINED, NONE, "\\".join(values), values[:1])


def coded_names(place: Place, case: Case) -> None:
    """Code meanings that hold a name, or a diagnosis and a date."""
    subject = case.subject
    code = place.item("ProcedureCodeSequence")
    code.kept("CodeValue", "IMG2417")
    code.kept("CodingSchemeDesignator", "99LOCAL")
    name = pick(case.rng, name_forms(subject)[:4])
    parts = tuple(part for part in (subject.family, subject.given) if part.lower() in name.lower())
    code.cleaned("CodeMeaning", f"Imaging study {name}", parts, ("Imaging", "study"), option="")
    code = place.item("AdmittingDiagnosesCodeSequence")
    code.put("CodeValue", "J18.9")
    code.put("CodingSchemeDesignator", "I10")
    birth = pick(case.rng, date_forms(subject.birth))
    code.removed("CodeMeaning", f"Pneumonia, {subject.given} b. {birth}", words=(subject.given, birth))


def standard_codes(place: Place, case: Case) -> None:
    """Codes and UIDs of the standard, which must stay."""
    code = place.item("AnatomicRegionSequence")
    code.kept("CodeValue", "51185008")
    code.kept("CodingSchemeDesignator", "SCT")
    code.kept("CodeMeaning", "Chest")
    code.kept("MappingResource", "DCMR")
    code.kept("ContextIdentifier", "4")
    code.put("ContextGroupVersion", "20121101")
    code.ask(
        code.put("ContextUID", "1.2.840.10008.6.1.2"), Check.TEXT_RETAINED, NONE, "CID 4", ("1.2.840.10008.6.1.2",)
    )


def addresses(place: Place, case: Case) -> None:
    """Mail, web and network addresses in comments and in an attribute for them."""
    subject = case.subject
    url = f"https://pacs.{subject.institution.issuer.lower()}.example/view?patient={subject.id}"
    place.removed("RetrieveURL", url, words=(subject.id,))
    finding = _finding(case)
    text = f"{finding}; send to {subject.email} or see {url}"
    gone = (subject.email, subject.id)
    place.cleaned("ImageComments", text, gone, words_of(finding))
    place.removed("RequestedProcedureComments", f"console 10.41.7.{case.subject.number % 250} tel. {subject.phone}",
                  words=(f"10.41.7.{case.subject.number % 250}", subject.phone.split()[-1]))  # fmt: skip


def uid_in_text(place: Place, case: Case) -> None:
    """UIDs of the study in the middle of a text."""
    finding = _finding(case)
    text = f"{finding}, compared with {case.visit.uid}"
    path = place.put("PatientComments", text)
    place.ask(path, Check.UID_CHANGED, DIRECT, text, (case.visit.uid,))


def very_old(place: Place, case: Case) -> None:
    """An age so high that few have it."""
    finding = _finding(case)
    place.cleaned("AdditionalPatientHistory", f"{_OLD} with {finding}", (_OLD,), words_of(finding), INDIRECT)


def staff_in_text(place: Place, case: Case) -> None:
    """A name that stands in no attribute of this file."""
    stranger, finding = pick(case.rng, _STRANGERS), _finding(case)
    text = f"{finding}. {pick(case.rng, _CALLS).format(stranger)}"
    place.cleaned("ImageComments", text, (stranger,), words_of(finding))


def padded(place: Place, case: Case) -> None:
    """Values with spaces and NULs around them, and an empty one."""
    subject = case.subject
    place.removed("OtherPatientNames", f"  {subject.family}^{subject.given} \0", words=(subject.family, subject.given))
    place.removed("PatientAddress", f"{subject.street}\0\0", words=subject.street.split()[1:])
    place.present("AcquisitionNumber", "", filled=False)


def word_names(place: Place, case: Case) -> None:
    """A name that is a word, as a word of the description: nobody can tell them apart, so it must go."""
    subject = case.subject
    if not subject.wordy:
        return
    text = f"{subject.family.upper()} 2 VIEWS"
    place.cleaned("StudyDescription", text, (subject.family,), ("VIEWS",))


def _finding(case: Case) -> str:
    return pick(case.rng, [words for words in FINDINGS if not case.subject.is_named_in(words)])
