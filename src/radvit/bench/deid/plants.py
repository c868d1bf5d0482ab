"""Identity in the attributes that a standard has for it, and in those that nobody expects it in."""

from __future__ import annotations

from radvit.bench.deid.answer import Category, words_of
from radvit.bench.deid.case import Case
from radvit.bench.deid.header import identity_in_text, name_parts
from radvit.bench.deid.people import da, name_forms, pick
from radvit.bench.deid.phrases import FINDINGS, FRAGMENTS, STUDIES
from radvit.bench.deid.place import DIRECT, INDIRECT, Place

_LONG_TEXTS = (
    "PatientComments",
    "AdditionalPatientHistory",
    "ImageComments",
    "AcquisitionProtocolDescription",
    "DerivationDescription",
    "CommentsOnThePerformedProcedureStep",
    "FrameComments",
    "ReasonForStudy",
    "StudyComments",
    "RequestedProcedureDescription",
    "AdmittingDiagnosesDescription",
    "ImagingServiceRequestComments",
    "VisitComments",
    "MedicalAlerts",
)
_LT = {
    "PatientComments",
    "AdditionalPatientHistory",
    "ImageComments",
    "StudyComments",
    "FrameComments",
    "VisitComments",
}


def contact(place: Place, case: Case) -> None:
    """Addresses, telephones, other names and numbers of the patient."""
    subject = case.subject
    place.removed("PatientAddress", f"{subject.street}, {subject.town}")
    place.removed("PatientTelephoneNumbers", subject.phone)
    place.removed("PatientTelecomInformation", f"mailto:{subject.email}")
    place.removed("PatientMotherBirthName", subject.mother)
    place.removed("PatientBirthName", f"{subject.mother.split('^')[0]}^{subject.given}")
    place.removed("MilitaryRank", "Sergeant")
    place.removed("CountryOfResidence", "Averillia")
    place.removed("RegionOfResidence", subject.town.split()[-1])
    place.removed("MedicalRecordLocator", f"LOC{subject.plain_id}")
    place.removed("PatientReligiousPreference", "Quaker")
    place.removed("ResponsiblePerson", subject.mother)
    place.put("ResponsiblePersonRole", "PARENT")
    place.removed("ResponsibleOrganization", f"Care Home {subject.town.split()[-1]}", INDIRECT)


def other_numbers(place: Place, case: Case) -> None:
    """Other identifiers, several in one attribute and in items."""
    subject = case.subject
    place.removed("OtherPatientIDs", list(subject.others))
    place.removed("OtherPatientNames", [f"{subject.family}^{subject.given}", subject.mother])
    place.removed("IssuerOfPatientID", subject.institution.issuer, INDIRECT)
    for number in subject.others:
        item = place.item("OtherPatientIDsSequence")
        item.removed("PatientID", number)
        item.removed("IssuerOfPatientID", subject.institution.issuer, INDIRECT)
        item.put("TypeOfPatientID", "TEXT")
    place.removed("AdmissionID", f"ADM{subject.plain_id}")
    place.removed("ServiceEpisodeID", f"SE{subject.plain_id}")
    place.removed("InsurancePlanIdentification", f"POL{subject.social}")


def staff(place: Place, case: Case) -> None:
    """Everybody who has had to do with the patient."""
    visit = case.visit
    place.removed("NameOfPhysiciansReadingStudy", [visit.reader, visit.referring])
    place.removed("PhysiciansOfRecord", visit.performing)
    place.removed("RequestingPhysician", visit.referring)
    place.removed("ReferringPhysicianAddress", f"2 {case.subject.town}")
    place.removed("ReferringPhysicianTelephoneNumbers", case.subject.phone)
    place.removed("ConsultingPhysicianName", visit.reader)
    place.removed("ScheduledPerformingPhysicianName", visit.performing)
    person = place.item("PerformingPhysicianIdentificationSequence")
    person.removed("InstitutionName", case.subject.institution.name, INDIRECT, (case.subject.institution.issuer,))
    code = person.item("PersonIdentificationCodeSequence")
    code.removed("CodeValue", f"EMP{visit.request[2:]}")
    code.put("CodingSchemeDesignator", "99STAFF")
    code.removed("CodeMeaning", visit.performing.replace("^", " ").strip())


def institution(place: Place, case: Case) -> None:
    """The hospital, its departments and machines."""
    where = case.subject.institution
    place.removed("InstitutionalDepartmentName", f"Radiology {where.issuer.title()}", INDIRECT, (where.issuer,))
    place.removed("PerformedStationAETitle", case.station, INDIRECT, (case.station,))
    place.removed("PerformedStationName", case.station, INDIRECT, (case.station,))
    place.removed("PerformedLocation", f"{where.issuer} 2", INDIRECT, (where.issuer,))
    place.removed("RequestingService", f"Ward {where.issuer}", INDIRECT, (where.issuer,))
    place.removed("CurrentPatientLocation", f"Ward 4 Bed {case.number}{where.issuer}", INDIRECT, (where.issuer,))
    code = place.item("InstitutionCodeSequence")
    code.put("CodeValue", "4711")
    code.put("CodingSchemeDesignator", "99HOSP")
    code.removed("CodeMeaning", where.name, INDIRECT, (where.issuer,))
    place.removed("GantryID", f"GANTRY-{where.issuer}", INDIRECT, (where.issuer,))
    place.removed("DetectorID", f"DET{case.visit.request[2:]}", INDIRECT)
    place.removed("PlateID", f"PL{case.visit.request[2:]}", INDIRECT)


def procedure(place: Place, case: Case) -> None:
    """What was requested and done, with numbers and dates."""
    visit, day = case.visit, da(case.visit.date)
    place.removed("PerformedProcedureStepID", visit.request)
    place.removed("RequestedProcedureID", visit.request)
    place.removed("FillerOrderNumberImagingServiceRequest", f"F{visit.request}")
    place.removed("PlacerOrderNumberImagingServiceRequest", f"P{visit.request}")
    place.shifted("PerformedProcedureStepStartDate", day)
    place.shifted("PerformedProcedureStepEndDate", day)
    place.shifted("AcquisitionDateTime", f"{day}{visit.time}.000000")
    place.shifted("InstanceCreationDate", day)
    place.put("InstanceCreationTime", visit.time)
    request = place.item("RequestAttributesSequence")
    request.removed("AccessionNumber", visit.accession)
    request.removed("RequestedProcedureID", visit.request)
    request.removed("ScheduledProcedureStepID", visit.request)
    phrase = next(iter(STUDIES[case.kind.modality]))
    name = pick(case.rng, name_forms(case.subject)[:4])
    request.cleaned("RequestedProcedureDescription", f"{phrase} {name}", name_parts(case.subject, name), ())
    request.cleaned(
        "ReasonForTheRequestedProcedure", f"Dr. {visit.reader.split('^')[0]}", visit.reader.split("^")[:1], ()
    )


def long_text(place: Place, case: Case) -> None:
    """Free text over several lines, with two things about the patient between clinical words."""
    subject = case.subject
    keyword = pick(case.rng, _LONG_TEXTS)
    finding = pick(case.rng, [words for words in FINDINGS if not subject.is_named_in(words)])
    first, second = identity_in_text(case), identity_in_text(case)
    if keyword in _LT:
        text = f"{finding}.\r\n{first[0]}; {second[0]}."
        place.cleaned(keyword, text, (*first[1], *second[1]), words_of(finding), _worse(first[2], second[2]))
        return
    text = pick(case.rng, FRAGMENTS).format(finding, first[0])
    if len(text) <= 64:
        place.cleaned(keyword, text, first[1], words_of(finding), first[2])


def _worse(*categories: Category) -> Category:
    return DIRECT if DIRECT in categories else INDIRECT
