"""What a de-identified DICOM file says of itself, for the catalogue."""

from __future__ import annotations

from pathlib import Path

from radvit.dicom.parse import only_read_errors, read_attributes
from radvit.errors import DicomReadError, VaultError
from radvit.vault.catalogue import Details

_KEYWORDS = ("PatientIdentityRemoved", "PatientID", "StudyInstanceUID", "Modality", "StudyDate")


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do (PS3.10 7.1)."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return True  # reading it will say what is wrong


def details_of(path: Path) -> Details:
    """Patient, study, modality and date of a DICOM file's header; kind `dicom`.

    Raises VaultError where the file is no DICOM file, doesn't say that its identity was removed (PS3.3 C.12.1.1), or
    holds a value that isn't in the form of a pseudonym; the message never repeats the value.
    """
    try:
        with only_read_errors():
            header = read_attributes(path, _KEYWORDS)
            removed, patient, study, modality, date = (str(header.get(name) or "").strip() for name in _KEYWORDS)
    except DicomReadError as error:
        raise VaultError(f"header can't be read: {error}") from None
    if removed != "YES":
        raise VaultError("not de-identified: PatientIdentityRemoved isn't YES; `radvit deid` makes a copy that is")
    if not patient or not study:
        raise VaultError("header holds no patient or no study; expected a file that `radvit deid` wrote")
    return Details("dicom", patient, study, modality, date)
