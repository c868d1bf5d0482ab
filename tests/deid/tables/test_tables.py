import pytest
from pydicom.datadict import tag_for_keyword

from radvit.deid.tables import actions, edition, type_of

CR, DX = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"


def test_actions_are_combinations_of_the_standards_letters():
    assert edition() >= "2026c"
    assert len(actions()) > 640
    assert set(actions().values()) == {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}


@pytest.mark.parametrize(
    ("keyword", "action"),
    [("PatientName", "Z"), ("PatientID", "Z/D"), ("StudyInstanceUID", "U"), ("InstitutionName", "X/Z/D"),
     ("AccessionNumber", "Z"), ("OtherPatientIDs", "X"), ("ContentDate", "Z/D"), ("SourceImageSequence", "X/Z/U*"),
     ("PersonName", "D")],
)  # fmt: skip
def test_known_rows(keyword, action):
    assert actions()[int(tag_for_keyword(keyword))] == action


@pytest.mark.parametrize(
    ("keyword", "sop_class", "parent", "needed"),
    [("PatientName", CR, "", 2), ("StudyInstanceUID", CR, "", 1), ("StudyDescription", CR, "", 3),
     ("AcquisitionContextSequence", DX, "", 2), ("AcquisitionContextSequence", CR, "", 3),
     ("ReferencedSOPInstanceUID", DX, "SourceImageSequence", 1), ("Rows", DX, "", 3), ("PatientName", "1.2.3", "", 3)],
)  # fmt: skip
def test_types_depend_on_the_object_and_the_sequence(keyword, sop_class, parent, needed):
    assert type_of(sop_class, keyword, parent) == needed
