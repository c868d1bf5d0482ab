"""What a de-identified file says of its own making: file meta, method, codes of the options, and who it is now."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, UID_dictionary

from radvit.deid.options import BASIC_PROFILE, Option, Options
from radvit.errors import DeidError

IMPLEMENTATION_UID = "2.25.225793093473266094312284563190461583233"
IMPLEMENTATION_NAME = "RADVIT"
# What a de-identified data set says of its making, and of its own character set.
STATED = frozenset(
    (
        "SpecificCharacterSet",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    )
)
_CODED = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def file_meta(dataset: Dataset) -> FileMetaDataset:
    """File meta of its own for a data set, with nothing of the original's but SOP class and transfer syntax.

    Raises DeidError where the transfer syntax isn't one of the standard's.
    """
    meta = FileMetaDataset()
    source = getattr(dataset, "file_meta", None) or Dataset()
    syntax = str(source.get("TransferSyntaxUID") or "")
    if syntax not in UID_dictionary:
        raise DeidError("transfer syntax is missing or not in the standard")
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class_of(dataset))
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    return meta


def sop_class_of(dataset: Dataset) -> str:
    """The SOP class, which some files name in their file meta alone. Raises DeidError where it isn't the standard's."""
    meta = getattr(dataset, "file_meta", None) or Dataset()
    sop_class = str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    if sop_class not in UID_dictionary:
        raise DeidError("SOP class is missing or not in the standard")
    return sop_class


def identity_of(dataset: Dataset) -> str:
    """What a file's patient is told apart by: PatientID, else the study, which then counts as a patient of its own.

    Raises DeidError where the file lacks the UIDs that pseudonyms start from.
    """
    study = str(dataset.get("StudyInstanceUID") or "").strip()
    if not study or not dataset.get("SOPInstanceUID"):
        raise DeidError("StudyInstanceUID or SOPInstanceUID is missing; expected both, to build pseudonyms from")
    try:
        return str(dataset.get("PatientID") or "").strip() or f"study {study}"
    except Exception:  # noqa: BLE001 - a malformed value counts as absent
        return f"study {study}"


def declare(dataset: Dataset, patient: str, method: str, options: Options) -> None:
    """Record in a de-identified data set how it was made (PS3.3 C.7.1.1, C.12.1). Changes it in place."""
    dataset.PatientID = dataset.PatientName = patient
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = method
    # Whether the pixels were cleaned is known only once they have been looked at.
    in_force = sorted((option.code, option.meaning) for option in options - {Option.CLEAN_PIXELS})
    dataset.DeidentificationMethodCodeSequence = [coded(*BASIC_PROFILE), *(coded(*code) for code in in_force)]
    dataset.LongitudinalTemporalInformationModified = _dates(options)


def declare_clean_pixels(dataset: Dataset) -> None:
    """Record in a de-identified data set that burned-in text was looked for and blanked. Changes it in place."""
    dataset.BurnedInAnnotation = "NO"
    option = Option.CLEAN_PIXELS
    dataset.DeidentificationMethodCodeSequence.append(coded(option.code, option.meaning))


def coded(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    """A coded concept (PS3.3 8.8)."""
    item = Dataset()
    for keyword, text in zip(_CODED, (value, scheme, meaning), strict=True):
        setattr(item, keyword, text)
    return item


def _dates(options: Options) -> str:
    if Option.FULL_DATES in options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.MODIFIED_DATES in options else "REMOVED"
