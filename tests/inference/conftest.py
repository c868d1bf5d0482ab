import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

SECRETS = ("Zanzibar", "Quillfeather", "MRN-77-1234", "1.2.3.4.5.6.7.8.9")


def write_dicom(path, study, image=1, source="MR_small.dcm", **changes):
    """A real bundled file under new identifiers, with an identity to be kept out of all output."""
    data = pydicom.dcmread(get_testdata_file(source, download=False))
    data.StudyInstanceUID = f"1.2.3.4.5.6.7.8.9.{study}"
    data.SOPInstanceUID = generate_uid(entropy_srcs=[f"{study}/{image}"])
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.PatientID, data.PatientName = f"MRN-77-1234-{study}", "Quillfeather^Zanzibar"
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path)
    return path


@pytest.fixture
def dicom_file():
    """Writes one DICOM file."""
    return write_dicom


@pytest.fixture
def secrets():
    """What must stand in no output."""
    return SECRETS
