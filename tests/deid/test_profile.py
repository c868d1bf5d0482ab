"""The allow-list against the standard: what PS3.15 Table E.1-1 removes is kept nowhere, save by a stated rule."""

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from radvit.deid.profile import BASIC, Action

RULES = {keyword_for_tag(tag): rule for tag, rule in BASIC.rules.items()}

# From PS3.15 Table E.1-1 (2024b): actions X, Z, D and U of the Basic Profile that may occur in images.
IDENTIFYING = """
    AccessionNumber AcquisitionComments AcquisitionDate AcquisitionDateTime AcquisitionDeviceProcessingDescription
    AcquisitionProtocolDescription AcquisitionTime AcquisitionUID AdditionalPatientHistory AdmissionID
    AdmittingDate AdmittingDiagnosesDescription AdmittingTime Allergies BranchOfService CameraOwnerName CassetteID
    ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolID ClinicalTrialSiteID ClinicalTrialSiteName
    ClinicalTrialSponsorName ClinicalTrialSubjectID ClinicalTrialTimePointID CommentsOnThePerformedProcedureStep
    ContentCreatorName ContentDate ContentTime ContrastBolusAgent ContributionDateTime ContributionDescription
    CountryOfResidence CurrentPatientLocation CurveDate CurveTime DateOfLastCalibration DateOfSecondaryCapture
    DerivationDescription DetectorID DeviceDescription DeviceSerialNumber DeviceUID DigitalSignaturesSequence
    DigitalSignatureUID EthnicGroup FrameComments FrameOfReferenceUID GantryID GeneratorID HumanPerformerName
    IconImageSequence ImageComments InstanceCoercionDateTime InstanceCreationDate InstanceCreationTime
    InstanceCreatorUID InstitutionAddress InstitutionCodeSequence InstitutionName InstitutionalDepartmentName
    InsurancePlanIdentification IrradiationEventUID IssuerOfPatientID LastMenstrualDate MedicalAlerts
    MedicalRecordLocator MilitaryRank ModifiedAttributesSequence NameOfPhysiciansReadingStudy Occupation
    OperatorsName OperatorIdentificationSequence OrderCallbackPhoneNumber OriginalAttributesSequence
    OtherPatientIDs OtherPatientIDsSequence OtherPatientNames OverlayDate OverlayTime PatientAddress PatientAge
    PatientBirthDate PatientBirthName PatientBirthTime PatientComments PatientID PatientInsurancePlanCodeSequence
    PatientMotherBirthName PatientName PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientSex
    PatientSize PatientState PatientTelephoneNumbers PatientTransportArrangements PatientWeight PerformedLocation
    PerformedProcedureStepDescription PerformedProcedureStepID PerformedProcedureStepStartDate
    PerformedProcedureStepStartTime PerformedStationAETitle PerformedStationName PerformingPhysicianName
    PersonAddress PersonTelephoneNumbers PhysiciansOfRecord PlateID PreMedication PregnancyStatus ProtocolName
    ReasonForStudy ReasonForTheRequestedProcedure ReferencedImageSequence ReferencedPatientSequence
    ReferencedSOPInstanceUID ReferencedStudySequence ReferringPhysicianAddress ReferringPhysicianName
    ReferringPhysicianTelephoneNumbers RegionOfResidence RequestAttributesSequence RequestedProcedureComments
    RequestedProcedureDescription RequestedProcedureID RequestedProcedureLocation RequestingPhysician
    RequestingService ResponsibleOrganization ResponsiblePerson RetrieveAETitle SOPInstanceUID
    ScheduledPerformingPhysicianName ScheduledProcedureStepDescription ScheduledProcedureStepID SeriesDate
    SeriesDescription SeriesInstanceUID SeriesTime ServiceEpisodeID SmokingStatus SourceImageSequence SpecialNeeds
    StationAETitle StationName StudyComments StudyDate StudyDescription StudyID StudyIDIssuer StudyInstanceUID
    StudyTime SynchronizationFrameOfReferenceUID TextComments TextString TimeOfSecondaryCapture
    TimezoneOffsetFromUTC UniqueDeviceIdentifier VerifyingObserverName VisitComments XRayDetectorID XRaySourceID
"""
CHANGED = {Action.UID, Action.DATE, Action.PATIENT, Action.EMPTY, Action.AGE}


@pytest.mark.parametrize("keyword", IDENTIFYING.split())
def test_nothing_the_basic_profile_removes_is_kept_as_it_is(keyword):
    assert tag_for_keyword(keyword) is not None
    rule = RULES.get(keyword)
    assert rule is None or rule.action in CHANGED or keyword == "PatientSex"


def test_no_free_text_is_kept():
    text = {"PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE", "TM", "DT", "UN"}
    kept = {keyword for keyword in RULES if dictionary_VR(tag_for_keyword(keyword)) in text}
    rewritten = {k for k in kept if RULES[k].action in (Action.PATIENT, Action.EMPTY, Action.MAKER, Action.WORDS)}
    assert kept == rewritten
    assert {k for k in kept if RULES[k].action is Action.WORDS} == {"ModalityLUTType", "RescaleType"}


def test_actions_fit_the_attributes():
    numbers = {"US", "SS", "UL", "SL", "FL", "FD", "DS", "IS", "US or SS", "AT"}
    fits = {
        Action.NUMBER: numbers,
        Action.UID: {"UI"},
        Action.CLASS: {"UI"},
        Action.DATE: {"DA"},
        Action.AGE: {"AS"},
        Action.ITEMS: {"SQ"},
        Action.CODES: {"SQ"},
        Action.DATA: {"OB or OW", "US or OW"},
        Action.ORIENTATION: {"CS"},
    }
    fits[Action.WORDS] = {"CS", "LO"}
    for keyword, rule in RULES.items():
        if rule.action in fits:
            assert dictionary_VR(tag_for_keyword(keyword)) in fits[rule.action], keyword


def test_every_vocabulary_holds_legal_terms():
    for keyword, rule in RULES.items():
        if rule.action is Action.WORDS:
            assert rule.words, keyword
            assert all(0 < len(word) <= 16 for word in rule.words), keyword


def test_no_private_curve_or_overlay_rule():
    assert not [tag for tag in BASIC.rules if (tag >> 16) % 2 or (tag >> 24) in (0x50, 0x60)]


def test_what_the_pixel_path_needs_is_kept():
    needed = """
        BitsAllocated BitsStored HighBit PixelRepresentation PhotometricInterpretation PresentationLUTShape
        PresentationLUTSequence ModalityLUTSequence VOILUTSequence LUTDescriptor LUTData RescaleSlope RescaleIntercept
        WindowCenter WindowWidth VOILUTFunction PixelPaddingValue PixelPaddingRangeLimit PixelSpacing ImagerPixelSpacing
        NominalScannedPixelSpacing EstimatedRadiographicMagnificationFactor PixelSpacingCalibrationType
        ImagePositionPatient ImageOrientationPatient FrameVOILUTSequence PixelValueTransformationSequence
        PixelMeasuresSequence PlanePositionSequence PlaneOrientationSequence
    """
    assert set(needed.split()) <= RULES.keys()
