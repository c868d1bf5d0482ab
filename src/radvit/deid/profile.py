"""What may stay in a header, as data: an allow-list, so that nothing leaks by being forgotten.

Every attribute that isn't named here is removed: private ones, unknown ones, curves, overlays, free text. No attribute
with free text is kept at all; a word stays only where it stands in a vocabulary below, so a name typed into a field for
body parts goes the way of all names. The profile is stricter than the Basic Application Level Confidentiality Profile
(PS3.15 E.1-1) with two options: Retain Longitudinal Temporal Information With Modified Dates and, in part, Retain
Patient Characteristics (sex and age).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pydicom.datadict import tag_for_keyword


class Action(Enum):
    """What becomes of an attribute; the letters of PS3.15 Table E.1-1 in brackets."""

    WORDS = "keep the values that stand in the vocabulary, empty the others [C]"
    MAKER = "replace by the maker's name where one is recognised, else remove [C]"
    NUMBER = "keep where it is a number [K]"
    DATA = "keep binary image or table data [K]"
    CLASS = "keep a UID of the standard, remove any other [K]"
    ORIENTATION = "keep where it is a pair of direction letters [K]"
    AGE = "keep, from 90 years on as 090Y [C]"
    UID = "replace by its pseudonym [U]"
    DATE = "shift by the patient's offset [C]"
    PATIENT = "replace by the patient's pseudonym [D]"
    EMPTY = "keep the attribute without its value, for modules that demand it [Z]"
    ITEMS = "keep the items, each scrubbed by the same rules [C]"
    CODES = "keep the items whose code stands in the vocabulary, with the vocabulary's meaning [C]"


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute's action; words is the vocabulary of WORDS."""

    action: Action
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Profile:
    """Rules by tag; whatever has no rule is removed.

    demanded: keywords written, empty, even where the file has none. codes: (scheme, value) to meaning. makers: names.
    """

    name: str
    rules: dict[int, Rule] = field(hash=False)
    demanded: tuple[str, ...] = ()
    codes: dict[tuple[str, str], str] = field(default_factory=dict, hash=False)
    makers: tuple[str, ...] = ()


_KEYWORDS: dict[Action, str] = {
    Action.UID: """
        SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID SynchronizationFrameOfReferenceUID
    """,
    Action.DATE: "StudyDate SeriesDate AcquisitionDate ContentDate",
    Action.PATIENT: "PatientID PatientName",
    Action.EMPTY: "PatientBirthDate StudyTime AccessionNumber ReferringPhysicianName StudyID",
    Action.AGE: "PatientAge",
    Action.CLASS: "SOPClassUID",
    Action.MAKER: "Manufacturer",
    Action.ORIENTATION: "PatientOrientation",
    Action.NUMBER: """
        SamplesPerPixel Rows Columns NumberOfFrames BitsAllocated BitsStored HighBit PixelRepresentation
        PixelAspectRatio PixelPaddingValue PixelPaddingRangeLimit SmallestImagePixelValue LargestImagePixelValue
        PixelIntensityRelationshipSign WindowCenter WindowWidth RescaleIntercept RescaleSlope
        LUTDescriptor LossyImageCompressionRatio
        PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing DetectorElementSpacing
        EstimatedRadiographicMagnificationFactor DistanceSourceToDetector DistanceSourceToPatient
        ImagePositionPatient ImageOrientationPatient SliceLocation SliceThickness SpacingBetweenSlices
        SeriesNumber AcquisitionNumber InstanceNumber ImagesInAcquisition
        KVP Exposure ExposureInuAs ExposureTime XRayTubeCurrent XRayTubeCurrentInuA
        ExposureIndex TargetExposureIndex DeviationIndex Sensitivity RelativeXRayExposure FocalSpots
        ImageAndFluoroscopyAreaDoseProduct EntranceDoseInmGy
        DetectorActiveDimensions DetectorActiveOrigin FieldOfViewDimensions FieldOfViewOrigin FieldOfViewRotation
        CollimatorLeftVerticalEdge CollimatorRightVerticalEdge CollimatorUpperHorizontalEdge
        CollimatorLowerHorizontalEdge ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge
        ShutterLowerHorizontalEdge PositionerPrimaryAngle PositionerSecondaryAngle BodyPartThickness CompressionForce
        RepetitionTime EchoTime InversionTime FlipAngle MagneticFieldStrength EchoTrainLength NumberOfAverages
        GantryDetectorTilt TableHeight SpiralPitchFactor ReconstructionDiameter DataCollectionDiameter
    """,
    Action.DATA: "PixelData LUTData",
    Action.ITEMS: """
        ModalityLUTSequence VOILUTSequence PresentationLUTSequence
        SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PixelMeasuresSequence FrameVOILUTSequence
        PixelValueTransformationSequence PlanePositionSequence PlaneOrientationSequence FrameAnatomySequence
    """,
    Action.CODES: "AnatomicRegionSequence ViewCodeSequence ViewModifierCodeSequence PatientOrientationCodeSequence",
}

# PS3.3 C.7.3.1.1.1, C.7.6.1.1.2, C.7.6.3.1.2, C.8.1.2, C.8.11.7, C.11.1.1.2, PS3.16 Annex L. A tilde stands
# for a space within a term.
_WORDS: dict[str, str] = {
    "Modality": """
        CR DX MG IO PX RF XA RG CT MR PT NM US OT SC RTIMAGE BI OCT OPT OP XC BMD DG DMS ES EM GM IVOCT IVUS LS OAM OPM
        OSS PA SM TG VL
    """,
    "PhotometricInterpretation": "MONOCHROME1 MONOCHROME2",
    "ImageType": """
        ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER REFORMATTED OTHER PORTAL VOLUME RESAMPLED NONE M NORM FFE
        POST_PROCESSED POST_CONTRAST RT MPR PROJECTION SUBTRACTION RECON TOMO WHOLE_BODY STATIC DYNAMIC EMISSION
        TRANSMISSION PRESENTATION PROCESSING
    """,
    "PresentationIntentType": "FOR~PRESENTATION FOR~PROCESSING",
    "BurnedInAnnotation": "YES NO",
    "LossyImageCompression": "00 01",
    "LossyImageCompressionMethod": "ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_13818_2",
    "PatientSex": "M F O",
    "Laterality": "L R",
    "ImageLaterality": "L R U B",
    "FrameLaterality": "L R U B",
    "BodyPartExamined": """
        ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK CALCANEUS CALF
        CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE COCCYX COLON CORNEA CSPINE CTSPINE
        CTLSPINE ELBOW ESOPHAGUS EXTREMITY EYE FACE FEMUR FIBULA FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK
        HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE LUNG MANDIBLE
        MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID
        PATELLA PELVIS PENIS PHARYNX PROSTATE RADIUS RECTUM RIB SACRUM SCALP SCAPULA SCLERA SCROTUM SHOULDER SINUS
        SIJOINT SKULL SPINE SPLEEN SSPINE STERNUM STOMACH TESTIS THIGH THORAX THUMB THYMUS THYROID TIBIA TLSPINE TMJ
        TOE TRACHEA TSPINE ULNA URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
    """,
    "ViewPosition": """
        AP PA LL RL LLD RLD LLO RLO LATERAL LAT LLAT RLAT OBLIQUE LPO RPO LAO RAO AXIAL
        CC MLO ML LM LMO XCC XCCL XCCM FB SIO CV AT ISO
    """,
    "PatientPosition": "HFP HFS HFDR HFDL FFP FFS FFDR FFDL SITTING STANDING LFP LFS RFP RFS AFDR AFDL PFDR PFDL",
    "PixelSpacingCalibrationType": "GEOMETRY FIDUCIAL",
    "PixelIntensityRelationship": "LIN LOG DISP",
    "PresentationLUTShape": "IDENTITY INVERSE",
    "VOILUTFunction": "LINEAR LINEAR_EXACT SIGMOID",
    "RescaleType": "OD HU US MGML Z_EFF ED EDW HU_MOD PCT",
    "ModalityLUTType": "OD HU US",
    "PositionerType": "NONE CARM COLUMN MAMMOGRAPHIC CEPHALOSTAT PANORAMIC RIGID CSS",
    "DetectorType": "DIRECT SCINTILLATOR STORAGE FILM",
    "ScanningSequence": "SE IR GR EP RM",
    "SequenceVariant": "SK MTC SS TRSS SP MP OSP NONE",
    "ScanOptions": "PER RG CG PPG FC PFF PFP SP FS",
    "MRAcquisitionType": "1D 2D 3D",
    "LongitudinalTemporalInformationModified": "MODIFIED",
}
BODY_PARTS, VIEWS = (tuple(_WORDS[keyword].split()) for keyword in ("BodyPartExamined", "ViewPosition"))

# Words that say how an image was made: they stay, whatever a patient is called. A part of the body may be a name.
FIXED_WORDS = {
    keyword: frozenset(word.replace("~", " ") for word in words.split())
    for keyword, words in _WORDS.items()
    if keyword != "BodyPartExamined"
}

# Attributes of type 2 in the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1).
_DEMANDED = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName
    StudyID
"""

# Makers by a word of their name; what stands here is all that is written.
_MAKERS = """
    AGFA CANON CARESTREAM CODONICS DRGEM EIZO FUJIFILM GE HITACHI HOLOGIC KODAK KONICA KONICAMINOLTA LUMISYS MINDRAY
    PHILIPS RADVIT RAYENCE SAMSUNG SECTRA SEDECAL SHIMADZU SIEMENS SWISSRAY TOSHIBA TRIXELL UIH VAREX
    VAREXIMAGING VIEWORKS
"""

# Views and regions of radiographs: PS3.16 CID 4010, 4014, 4009.
_CODES: dict[tuple[str, str], str] = {
    ("SRT", "R-10202"): "frontal",
    ("SRT", "R-10206"): "antero-posterior",
    ("SRT", "R-10214"): "postero-anterior",
    ("SRT", "R-10228"): "right lateral",
    ("SRT", "R-10232"): "right lateral",
    ("SRT", "R-10236"): "left lateral",
    ("SRT", "R-10242"): "cranio-caudal",
    ("SRT", "R-10226"): "medio-lateral oblique",
    ("SCT", "272479007"): "postero-anterior projection",
    ("SCT", "399348003"): "antero-posterior projection",
    ("SCT", "272481009"): "lateral projection",
    ("SRT", "T-D3000"): "Chest",
    ("SRT", "T-D4000"): "Abdomen",
    ("SRT", "T-04000"): "Breast",
    ("SCT", "51185008"): "Chest",
    ("SCT", "818981001"): "Abdomen",
    ("SCT", "76752008"): "Breast",
}


def _rules() -> dict[int, Rule]:
    plain = {word: Rule(action) for action, keywords in _KEYWORDS.items() for word in keywords.split()}
    words = {
        keyword: Rule(Action.WORDS, frozenset(term.replace("~", " ") for term in terms.split()))
        for keyword, terms in _WORDS.items()
    }
    return {_tag(keyword): rule for keyword, rule in (plain | words).items()}


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return int(tag)


BASIC = Profile("header allow-list", _rules(), tuple(_DEMANDED.split()), _CODES, tuple(_MAKERS.split()))
