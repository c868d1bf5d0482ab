"""The modules of a radiograph's header, filled from records: patient, study, equipment, and those of DX alone."""

from __future__ import annotations

from pydicom import Dataset, Sequence

from radvit.dicom.written import Capture, Person, Visit

PRIVATE_CREATOR = "RADVIT PHANTOM PACS"


def item(**values: object) -> Dataset:
    """A sequence item with these keywords."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept (PS3.3 8.8)."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def patient_modules(dataset: Dataset, person: Person, visit: Visit) -> None:
    """Patient and Patient Study (PS3.3 C.7.1.1, C.7.2.2)."""
    dataset.PatientName = person.name
    dataset.PatientID = person.patient_id
    dataset.IssuerOfPatientID = person.issuer
    dataset.PatientBirthDate = person.birth_date
    dataset.PatientSex = person.sex
    if person.other_ids:
        dataset.OtherPatientIDsSequence = Sequence(
            item(PatientID=other, IssuerOfPatientID=person.issuer, TypeOfPatientID="TEXT") for other in person.other_ids
        )
    if person.birth_name:
        dataset.PatientBirthName = person.birth_name
    dataset.PatientAddress = person.address
    dataset.PatientTelephoneNumbers = person.phone
    dataset.PatientComments = person.comments
    dataset.PatientAge = visit.age
    dataset.AdditionalPatientHistory = person.history


def study_modules(dataset: Dataset, person: Person, visit: Visit, capture: Capture) -> None:
    """General Study, Series and Equipment, with requests and history (PS3.3 C.7.2, C.7.3, C.7.5)."""
    dataset.StudyInstanceUID = visit.study_uid
    dataset.StudyID = visit.study_id
    dataset.AccessionNumber = visit.accession
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{kind}Date", visit.date)
        setattr(dataset, f"{kind}Time", visit.time if kind == "Study" else capture.time)
    dataset.StudyDescription = visit.description
    dataset.ReferringPhysicianName = visit.referring
    dataset.PerformingPhysicianName = visit.performing
    dataset.NameOfPhysiciansReadingStudy = visit.reader
    dataset.OperatorsName = visit.operator
    dataset.ProcedureCodeSequence = Sequence([code(visit.procedure[0], "L", visit.procedure[1])])
    _series(dataset, capture)
    _equipment(dataset, visit, capture)
    _requests(dataset, person, visit)
    _history(dataset, person, visit)
    if capture.private:
        _private(dataset, person, visit)


def _series(dataset: Dataset, capture: Capture) -> None:
    dataset.SeriesInstanceUID = capture.series_uid
    dataset.SeriesNumber = capture.series_number
    dataset.Modality = capture.kind
    dataset.SeriesDescription = f"Chest {capture.view}"
    dataset.ProtocolName = f"CHEST {capture.view}"


def _equipment(dataset: Dataset, visit: Visit, capture: Capture) -> None:
    dataset.Manufacturer = capture.manufacturer
    dataset.ManufacturerModelName = capture.model
    dataset.StationName = capture.station
    dataset.DeviceSerialNumber = capture.serial
    dataset.SoftwareVersions = capture.software
    dataset.InstitutionName = visit.institution
    dataset.InstitutionAddress = visit.institution_address
    dataset.InstitutionalDepartmentName = visit.department


def _requests(dataset: Dataset, person: Person, visit: Visit) -> None:
    dataset.RequestAttributesSequence = Sequence(
        [
            item(
                AccessionNumber=visit.accession,
                RequestedProcedureID=visit.request_id,
                RequestedProcedureDescription=visit.description,
                ReasonForTheRequestedProcedure=person.history[:64],
                ScheduledProcedureStepID=visit.request_id,
                ScheduledProcedureStepDescription=visit.procedure[1],
            )
        ]
    )
    dataset.PerformedProcedureStepID = visit.request_id
    dataset.PerformedProcedureStepStartDate = visit.date
    dataset.PerformedProcedureStepStartTime = visit.time
    dataset.PerformedProcedureStepDescription = visit.description


def _history(dataset: Dataset, person: Person, visit: Visit) -> None:
    """The study before, and what a desk corrected in this header (PS3.3 C.12.1.1.9)."""
    if visit.previous_uid is not None:
        dataset.ReferencedStudySequence = Sequence(
            [item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=visit.previous_uid)]
        )
    if visit.corrected_id is None:
        return
    before = item(PatientName=person.name, PatientID=visit.corrected_id, PatientBirthDate=person.birth_date)
    dataset.OriginalAttributesSequence = Sequence(
        [
            item(
                SourceOfPreviousValues=visit.institution,
                AttributeModificationDateTime=f"{visit.date}{visit.time}",
                ModifyingSystem=f"{visit.department} DESK",
                ReasonForTheAttributeModification="CORRECT",
                ModifiedAttributesSequence=Sequence([before]),
            )
        ]
    )


def _private(dataset: Dataset, person: Person, visit: Visit) -> None:
    """Identity where only the maker knows: two private blocks (PS3.5 7.8)."""
    block = dataset.private_block(0x0009, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", person.patient_id)
    block.add_new(0x02, "PN", person.name)
    block.add_new(0x03, "DA", visit.date)
    block = dataset.private_block(0x0021, PRIVATE_CREATOR, create=True)
    block.add_new(0x10, "SH", visit.accession)
    block.add_new(0x11, "LT", f"{person.plain_name} {person.birth_date} {person.phone}")


def dx_modules(dataset: Dataset, capture: Capture) -> None:
    """DX Series, Anatomy, Image, Detector and Positioning, and the Acquisition Context (PS3.3 C.8.11, C.7.6.14)."""
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.AnatomicRegionSequence = Sequence([code("51185008", "SCT", "Chest")])
    dataset.ImageLaterality = "U"
    dataset.AcquisitionDeviceProcessingDescription = "CHEST STANDARD"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.DetectorType = "SCINTILLATOR"
    dataset.DetectorConfiguration = "AREA"
    dataset.DetectorID = capture.detector_id
    dataset.DetectorActiveTime = str(capture.exposure_ms)
    dataset.DetectorConditionsNominalFlag = "YES"
    if capture.view == "PA":
        view = code("399348003", "SCT", "postero-anterior")
    else:
        view = code("399348004", "SCT", "antero-posterior")
    view.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view])
    dataset.PositionerType = "COLUMN"
    dataset.AcquisitionContextSequence = Sequence([])
