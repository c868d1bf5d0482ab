"""The options of the Basic Profile (PS3.15 Annex E.3), each with the code that says so in a file (PS3.16 CID 7050)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from radvit.errors import ConfigError

BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")


class Option(Enum):
    """An option by its name on the command line: (code, meaning, what it does here)."""

    CLEAN_PIXELS = ("113101", "Clean Pixel Data Option", "text burned into the pixels is looked for and blanked")
    CLEAN_GRAPHICS = ("113103", "Clean Graphics Option", "overlays stay where no text is found in them")
    CLEAN_STRUCTURED = (
        "113104", "Clean Structured Content Option", "the context of an acquisition stays, its texts cleaned"
    )  # fmt: skip
    CLEAN_DESCRIPTORS = (
        "113105", "Clean Descriptors Option", "free text stays without names, numbers, dates and addresses"
    )  # fmt: skip
    FULL_DATES = ("113106", "Retain Longitudinal Temporal Information Full Dates Option", "dates and times stay")
    MODIFIED_DATES = (
        "113107", "Retain Longitudinal Temporal Information Modified Dates Option",
        "dates go back by one number of days for each patient; times of day stay",
    )  # fmt: skip
    PATIENT_CHARACTERISTICS = (
        "113108", "Retain Patient Characteristics Option", "sex, age up to 89, size, weight and the like stay"
    )  # fmt: skip
    DEVICE_IDENTITY = ("113109", "Retain Device Identity Option", "serial numbers and names of devices stay")
    UIDS = ("113110", "Retain UIDs Option", "UIDs stay as they are")
    SAFE_PRIVATE = (
        "113111", "Retain Safe Private Option", "numbers of private attributes that the standard lists as safe stay"
    )  # fmt: skip
    INSTITUTION_IDENTITY = ("113112", "Retain Institution Identity Option", "names of institutions stay")

    @property
    def code(self) -> str:
        """Of the DCM coding scheme."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """The code's meaning, in the standard's words."""
        return self.value[1]

    @property
    def words(self) -> str:
        """What it does here."""
        return self.value[2]

    @property
    def slug(self) -> str:
        """The name on the command line, such as `clean-pixels`."""
        return self.name.lower().replace("_", "-")


Options = frozenset[Option]
DEFAULT: Options = frozenset({Option.CLEAN_PIXELS, Option.MODIFIED_DATES, Option.PATIENT_CHARACTERISTICS})


def parse_options(add: Iterable[str], remove: Iterable[str] = (), start: Options = DEFAULT) -> Options:
    """The default options with some added and some removed, by name; a date option takes the other's place.

    Raises ConfigError, with the names there are, where one is unknown.
    """
    added = [_named(name) for name in add]
    dates = {Option.FULL_DATES, Option.MODIFIED_DATES}
    if dates <= set(added):
        raise ConfigError("options full-dates and modified-dates exclude each other; expected one of them")
    kept = start - dates if dates & set(added) else start
    return frozenset(kept | set(added)) - {_named(name) for name in remove}


def _named(name: str) -> Option:
    known = {option.slug: option for option in Option}
    if name.replace("_", "-") not in known:
        raise ConfigError(f"option {name!r} of de-identification; expected one of {', '.join(known)}")
    return known[name.replace("_", "-")]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Columns of PS3.15 Table E.1-1: the attributes whose action an option changes. Dates and UIDs go by their kind.
CLEANED_DESCRIPTORS = _words(
    """
    AcquisitionComments AcquisitionDeviceProcessingDescription AcquisitionFieldOfViewLabel
    AcquisitionProtocolDescription AdditionalPatientHistory AdmittingDiagnosesCodeSequence
    AdmittingDiagnosesDescription Allergies AnnotationGroupDescription AnnotationGroupLabel BeamDescription
    BolusDescription ChannelDerivationDescription ChannelLabel ClinicalTrialSeriesDescription
    ClinicalTrialTimePointDescription CommentsOnRadiationDose CommentsOnThePerformedProcedureStep
    CompensatorDescription ConceptualVolumeCombinationDescription ConceptualVolumeDescription ContainerDescription
    ContrastBolusAgent ContributionDescription DecompositionDescription DerivationDescription
    DeviceSettingDescription DischargeDiagnosisDescription DisplacementReferenceLabel DoseReferenceDescription
    EntityDescription EntityLabel EntityLongLabel EntityName EquipmentFrameOfReferenceDescription
    FilterLookupTableDescription FixationDeviceDescription FractionGroupDescription FractionationNotes FrameComments
    IdentifyingComments ImageComments ImagingServiceRequestComments Impressions InterlockDescription
    InterlockOriginDescription InterpretationDiagnosisDescription InterpretationText LabelText LongDeviceDescription
    MedicalAlerts MultienergyAcquisitionDescription MultiplexGroupLabel Occupation PatientComments
    PatientSetupPhotoDescription PatientState PatientTreatmentPreparationMethodDescription
    PatientTreatmentPreparationProcedureParameterDescription PerformedProcedureStepDescription
    PositionAcquisitionTemplateDescription PositionAcquisitionTemplateName PreMedication PrescriptionDescription
    PrescriptionNotes PrescriptionNotesSequence PriorTreatmentDoseDescription ProtocolName PyramidDescription
    PyramidLabel ROIDescription ROIGenerationDescription ROIName ROIObservationDescription ROIObservationLabel
    RTPhysicianIntentNarrative RTPlanDescription RTPlanLabel RTPlanName RTPrescriptionLabel RTToleranceSetLabel
    RTTreatmentApproachLabel RadiationDoseIdentificationLabel RadiationDoseInVivoMeasurementLabel
    RadiationGenerationModeDescription RadiationGenerationModeLabel ReasonForOmissionDescription
    ReasonForRequestedProcedureCodeSequence ReasonForStudy ReasonForSuperseding ReasonForTheImagingServiceRequest
    ReasonForTheRequestedProcedure ReasonForVisit ReasonForVisitCodeSequence RequestAttributesSequence
    RequestedContrastAgent RequestedProcedureComments RequestedProcedureDescription RequestedSeriesDescription
    RespiratoryMotionCompensationTechniqueDescription ResultsComments ScheduledProcedureStepDescription
    SeriesDescription ServiceEpisodeDescription SetupTechniqueDescription ShieldingDeviceDescription
    SpecimenDetailedDescription SpecimenShortDescription StructureSetDescription StructureSetLabel StructureSetName
    StudyComments StudyDescription TreatmentPositionGroupLabel TreatmentSite TreatmentSites TreatmentTechniqueNotes
    UserContentLabel UserContentLongLabel VisitComments WaveformFilterDescription XRayDetectorLabel
    """
)
CLEANED_STRUCTURED = _words("AcquisitionContextSequence ContentSequence SpecimenPreparationSequence")
KEPT_PATIENT_CHARACTERISTICS = _words(
    """
    EthnicGroupCodeSequence PatientAge PatientSex PatientSexNeutered PatientSize PatientWeight
    PregnancyStatus SmokingStatus
    """
)
CLEANED_PATIENT_CHARACTERISTICS = _words("Allergies EthnicGroup PatientState PreMedication SpecialNeeds")
KEPT_DEVICE_IDENTITY = _words(
    """
    CassetteID DetectorID DeviceDescription DeviceLabel DeviceSerialNumber DeviceUID GantryID GeneratorID LensMake
    LensModel LensSerialNumber LensSpecification ManufacturerDeviceClassUID ManufacturerDeviceIdentifier
    PerformedStationAETitle PerformedStationGeographicLocationCodeSequence PerformedStationName
    PerformedStationNameCodeSequence PlateID ScheduledProcedureStepLocation ScheduledStationAETitle
    ScheduledStationGeographicLocationCodeSequence ScheduledStationName ScheduledStationNameCodeSequence
    ScheduledStudyLocation ScheduledStudyLocationAETitle SecondaryCaptureDeviceID SourceManufacturer
    SourceSerialNumber StationAETitle StationName TransducerIdentificationSequence TreatmentMachineName UDISequence
    UniqueDeviceIdentifier XRayDetectorID XRaySourceID
    """
)
KEPT_INSTITUTION_IDENTITY = _words(
    """
    ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialSiteID
    ClinicalTrialSiteName InstitutionAddress InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence
    InstitutionCodeSequence InstitutionName
    """
)
# What of these has a fixed vocabulary (PS3.3 C.7.1.1, C.7.2.2, C.7.2.3); any other word is no such characteristic.
ENUMERATED = {
    "PatientSex": ("M", "F", "O"),
    "PatientSexNeutered": ("ALTERED", "UNALTERED"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
}
# Rows of dates and of UIDs that the options leave as the Basic Profile has them, and references they keep besides.
NOT_DATES = _words("PatientBirthDate PatientBirthTime GPSTimeStamp GPSDateStamp")
NOT_UIDS = _words("DigitalSignatureUID UID")
KEPT_REFERENCES = _words("AffectedSOPInstanceUID ReferencedPerformedProcedureStepSequence ReferencedStudySequence")
