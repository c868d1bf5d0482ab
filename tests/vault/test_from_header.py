import numpy as np
import pytest

from radvit.deid.batch import FileScrubber
from radvit.errors import VaultError
from radvit.vault.catalogue import Details
from radvit.vault.from_header import details_of

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)
SAFE = {
    "PatientIdentityRemoved": "YES",
    "PatientID": "P-ABCDEFGHIJKLMNOP",
    "StudyInstanceUID": "2.25.123",
    "Modality": "CR",
    "StudyDate": "20240131",
}


def test_what_a_header_says(grey_file):
    path = grey_file(PIXELS, **SAFE)
    assert details_of(path) == Details("dicom", "P-ABCDEFGHIJKLMNOP", "2.25.123", "CR", "20240131")


def test_a_file_that_deid_wrote(grey_file, pseudonymizer, tmp_path):
    FileScrubber(pseudonymizer).write(grey_file(PIXELS, StudyDate="20240131"), tmp_path / "safe")
    (path,) = (tmp_path / "safe").rglob("*.dcm")
    details = details_of(path)
    assert details.patient == pseudonymizer.patient("ID-7")
    assert details.study == pseudonymizer.uid("1.2.3.5")
    assert (details.kind, details.modality) == ("dicom", "CR")
    assert details.date < "20240131"


def test_what_is_missing_stays_empty(grey_file):
    path = grey_file(PIXELS, **SAFE | {"StudyDate": "", "Modality": ""})
    assert details_of(path) == Details("dicom", "P-ABCDEFGHIJKLMNOP", "2.25.123")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"PatientIdentityRemoved": "NO"}, "not de-identified"),
        ({"PatientIdentityRemoved": ""}, "not de-identified"),
        ({"PatientID": ""}, "no patient or no study"),
        ({"PatientID": "JANE-1970"}, "patient: a value of 9 characters"),
        ({"PatientID": ["P-ABCDEFGHIJKLMNOP", "JANE"]}, "patient: a value of"),
        ({"StudyInstanceUID": "1.2.840.113619"}, "study: a value of 14 characters"),
        ({"StudyDate": "19700101-19710101"}, "date: a value of 17 characters"),
        ({"Modality": "Jane"}, "modality: a value of 4 characters"),
    ],
)
def test_refuses_what_is_not_de_identified_and_does_not_repeat_it(grey_file, change, match):
    path = grey_file(PIXELS, **SAFE | change)
    with pytest.raises(VaultError, match=match) as caught:
        details_of(path)
    assert not any(word in str(caught.value) for word in ("JANE", "Jane", "1970", "113619"))


def test_refuses_what_is_no_dicom_file(tmp_path):
    (tmp_path / "note.txt").write_text("Jane Doe")
    with pytest.raises(VaultError, match="header can't be read: no DICM prefix"):
        details_of(tmp_path / "note.txt")
    with pytest.raises(VaultError, match="header can't be read"):
        details_of(tmp_path / "absent")
