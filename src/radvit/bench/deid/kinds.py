"""The kinds of images in the cohort: for each, its SOP class and the attributes of its modules that identify nobody.

None of these attributes stands in PS3.15 Table E.1-1, so all of them must stay (PS3.3 A.2 to A.26, C.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

Value = str | int | float | list[str] | list[int] | list[float]


@dataclass(frozen=True, slots=True)
class Kind:
    """An IOD. attributes: by keyword. sides_px: range of the picture's sides. reference: has a frame of reference.

    colour: RGB in 8 bits. frames: of one file. bits: of a grey value. empty: sequences that must be there, without
    items. pointers: what tells the frames apart. parts: words of BodyPartExamined.
    """

    modality: str
    sop_class: str
    attributes: Mapping[str, Value]
    parts: tuple[str, ...]
    sides_px: tuple[int, int] = (64, 128)
    reference: bool = False
    colour: bool = False
    frames: int = 0
    bits: int = 12
    empty: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    maker: tuple[str, str, str] = field(default=("RADVIT", "Phantom One", "4.2"))


_PLANE: dict[str, Value] = {
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PixelSpacing": ["0.75", "0.75"],
    "SliceThickness": "2.5",
    "PatientPosition": "HFS",
    "PositionReferenceIndicator": "SN",
}
_XRAY: dict[str, Value] = {"KVP": "117", "ExposureTime": "12", "XRayTubeCurrent": "320", "Exposure": "4"}
_DIGITAL: dict[str, Value] = {
    **_XRAY,
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "PresentationIntentType": "FOR PRESENTATION",
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,
    "RescaleIntercept": "0",
    "RescaleSlope": "1",
    "RescaleType": "US",
    "PresentationLUTShape": "IDENTITY",
    "LossyImageCompression": "00",
    "DetectorType": "SCINTILLATOR",
    "PatientOrientation": ["L", "F"],
    "ImagerPixelSpacing": ["0.4", "0.4"],
    "WindowCenter": "2048",
    "WindowWidth": "4096",
}

_NUCLEAR = (
    "RadiopharmaceuticalInformationSequence",
    "PatientOrientationCodeSequence",
    "PatientGantryRelationshipCodeSequence",
)

KINDS: tuple[Kind, ...] = (
    Kind(
        "CR",
        ComputedRadiographyImageStorage,
        {
            **_XRAY,
            "ImageType": ["DERIVED", "PRIMARY"],
            "PatientOrientation": ["L", "F"],
            "ViewPosition": "PA",
            "CassetteOrientation": "PORTRAIT",
            "DistanceSourceToDetector": "1800",
            "Sensitivity": "200",
            "ImagerPixelSpacing": ["0.4", "0.4"],
        },
        ("CHEST", "KNEE", "FOOT", "HAND"),
        (560, 860),
        maker=("FUJIFILM Corporation", "CR 975", "V5.1"),
    ),
    Kind(
        "CT",
        CTImageStorage,
        {
            **_XRAY,
            **_PLANE,
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "RescaleIntercept": "-1024",
            "RescaleSlope": "1",
            "RescaleType": "HU",
            "AcquisitionNumber": "2",
            "ConvolutionKernel": "B30f",
            "GantryDetectorTilt": "0",
            "TableHeight": "162.5",
            "RotationDirection": "CW",
            "ScanOptions": "HELICAL MODE",
            "DataCollectionDiameter": "500",
            "ReconstructionDiameter": "360",
            "FilterType": "BODY",
            "WindowCenter": ["40", "-600"],
            "WindowWidth": ["400", "1500"],
        },
        ("CHEST", "ABDOMEN", "HEAD"),
        reference=True,
        maker=("SIEMENS", "SOMATOM Force", "VB20A"),
    ),
    Kind(
        "MR",
        MRImageStorage,
        {
            **_PLANE,
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
            "ScanningSequence": "SE",
            "SequenceVariant": "SK",
            "ScanOptions": "FS",
            "MRAcquisitionType": "2D",
            "SequenceName": "*tse2d1_15",
            "RepetitionTime": "4200",
            "EchoTime": "98",
            "EchoTrainLength": "15",
            "FlipAngle": "150",
            "MagneticFieldStrength": "3",
            "ImagingFrequency": "123.25",
            "ImagedNucleus": "1H",
            "NumberOfAverages": "2",
            "PixelBandwidth": "200",
            "SpacingBetweenSlices": "3.3",
            "TransmitCoilName": "Body",
            "ReceiveCoilName": "HeadNeck_20",
            "InPlanePhaseEncodingDirection": "ROW",
            "SAR": "0.42",
        },
        ("BRAIN", "LSPINE", "KNEE", "LIVER"),
        reference=True,
        maker=("Philips Medical Systems", "Ingenia", "5.6.1"),
    ),
    Kind(
        "US",
        UltrasoundImageStorage,
        {
            "ImageType": ["ORIGINAL", "PRIMARY", "ABDOMINAL"],
            "PatientOrientation": ["L", "F"],
            "LossyImageCompression": "00",
            "TransducerData": ["C5-1", "", ""],
            "MechanicalIndex": "1.2",
            "SoftTissueThermalIndex": "0.6",
        },
        ("ABDOMEN", "THYROID"),
        (300, 420),
        colour=True,
        maker=("GE Healthcare", "LOGIQ E9", "R6.1"),
    ),
    Kind(
        "DX",
        DigitalXRayImageStorageForPresentation,
        {
            **_DIGITAL,
            "ViewPosition": "PA",
            "ImageLaterality": "U",
            "DetectorActiveTime": "12",
            "AcquisitionDeviceProcessingCode": "CHEST_PA",
            "PositionerType": "COLUMN",
            "Grid": "FOCUSED",
            "ExposureIndex": "412",
        },
        ("CHEST", "ABDOMEN", "SPINE"),
        (560, 860),
        empty=("AcquisitionContextSequence",),
        maker=("Carestream Health", "DRX-1", "5.7"),
    ),
    Kind(
        "MG",
        DigitalMammographyXRayImageStorageForPresentation,
        {
            **_DIGITAL,
            "ViewPosition": "MLO",
            "ImageLaterality": "R",
            "OrganExposed": "BREAST",
            "CompressionForce": "110",
            "BodyPartThickness": "54",
            "AnodeTargetMaterial": "TUNGSTEN",
            "FilterMaterial": "RHODIUM",
            "PositionerType": "MAMMOGRAPHIC",
            "PositionerPrimaryAngle": "45",
            "BreastImplantPresent": "NO",
            "PartialView": "NO",
            "EstimatedRadiographicMagnificationFactor": "1",
            "OrganDose": "0.014",
        },
        ("BREAST",),
        (560, 760),
        empty=("AcquisitionContextSequence",),
        maker=("HOLOGIC, Inc.", "Selenia Dimensions", "1.9.3"),
    ),
    Kind(
        "PT",
        PositronEmissionTomographyImageStorage,
        {
            **{name: value for name, value in _PLANE.items() if name != "PatientPosition"},
            "ImageType": ["ORIGINAL", "PRIMARY"],
            "RescaleIntercept": "0",
            "RescaleSlope": "1.5",
            "Units": "BQML",
            "CountsSource": "EMISSION",
            "SeriesType": ["STATIC", "IMAGE"],
            "CorrectedImage": ["DECY", "ATTN", "SCAT"],
            "DecayCorrection": "START",
            "NumberOfSlices": 4,
            "CollimatorType": "NONE",
            "FrameReferenceTime": "1500",
            "ActualFrameDuration": "180000",
            "ImageIndex": 1,
            "DecayFactor": "1.02",
            "ReconstructionMethod": "OSEM 3D",
            "RandomsCorrectionMethod": "DLYD",
            "ScatterCorrectionMethod": "Model-based",
            "AttenuationCorrectionMethod": "CT",
        },
        ("WHOLEBODY", "BRAIN"),
        reference=True,
        bits=16,
        empty=_NUCLEAR,
        maker=("GE MEDICAL SYSTEMS", "Discovery 710", "52.00"),
    ),
    Kind(
        "XA",
        XRayAngiographicImageStorage,
        {
            **{name: value for name, value in _XRAY.items() if name != "Exposure"},
            "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
            "PatientOrientation": ["L", "F"],
            "PixelIntensityRelationship": "LIN",
            "RadiationSetting": "GR",
            "Exposure": "4",
            "PositionerMotion": "STATIC",
            "PositionerPrimaryAngle": "-30",
            "PositionerSecondaryAngle": "20",
            "DistanceSourceToPatient": "780",
            "DistanceSourceToDetector": "1100",
            "FrameTime": "66.7",
            "LossyImageCompression": "00",
        },
        ("HEART", "BRAIN"),
        (96, 160),
        frames=3,
        pointers=("FrameTime",),
        maker=("SIEMENS", "AXIOM-Artis", "VD11C"),
    ),
    Kind(
        "NM",
        NuclearMedicineImageStorage,
        {
            "ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"],
            "NumberOfEnergyWindows": 1,
            "NumberOfDetectors": 1,
            "EnergyWindowVector": [1, 1],
            "DetectorVector": [1, 1],
            "CountsAccumulated": "412311",
            "ActualFrameDuration": "600000",
            "PixelSpacing": ["2.4", "2.4"],
            "SpacingBetweenSlices": "2.4",
        },
        ("WHOLEBODY",),
        frames=2,
        bits=16,
        empty=(*_NUCLEAR, "EnergyWindowInformationSequence", "DetectorInformationSequence"),
        pointers=("EnergyWindowVector", "DetectorVector"),
        maker=("ADAC", "Forte", "9.2"),
    ),
    Kind(
        "SC",
        SecondaryCaptureImageStorage,
        {
            "ImageType": ["DERIVED", "SECONDARY"],
            "PatientOrientation": ["L", "F"],
            "ConversionType": "WSD",
            "LossyImageCompression": "00",
            "SecondaryCaptureDeviceManufacturer": "RADVIT",
            "SecondaryCaptureDeviceManufacturerModelName": "Grabber",
            "SecondaryCaptureDeviceSoftwareVersions": "2.0",
        },
        ("CHEST", "HEAD"),
        (300, 480),
    ),
    Kind(
        "RF",
        XRayRadiofluoroscopicImageStorage,
        {
            **_XRAY,
            "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
            "PatientOrientation": ["L", "F"],
            "PixelIntensityRelationship": "LIN",
            "RadiationSetting": "SC",
            "LossyImageCompression": "00",
        },
        ("ESOPHAGUS", "BLADDER"),
        (96, 160),
        maker=("TOSHIBA", "Ultimax", "2.50"),
    ),
)
