import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation

from radvit.deid.options import Option
from radvit.deid.rules import Action, Place, Rules, resolve

CR, DX = Place(ComputedRadiographyImageStorage), Place(DigitalXRayImageStorageForPresentation)


def action(keyword, *options, place=CR):
    tag = tag_for_keyword(keyword)
    return Rules(frozenset(options)).action(int(tag), keyword, dictionary_VR(tag), place)


@pytest.mark.parametrize(
    ("listed", "one", "two", "three"),
    [("X", "D", "Z", "X"), ("Z", "D", "Z", "Z"), ("D", "D", "D", "D"), ("U", "U", "U", "U"), ("X/Z", "D", "Z", "X"),
     ("X/D", "D", "Z", "X"), ("Z/D", "D", "Z", "Z"), ("X/Z/D", "D", "Z", "X"), ("X/Z/U*", "U", "U", "U")],
)  # fmt: skip
def test_combinations_by_type(listed, one, two, three):
    assert [resolve(listed, needed).letter for needed in (1, 2, 3)] == [one, two, three]


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("PatientName", Action.PATIENT), ("PatientID", Action.PATIENT), ("PatientBirthDate", Action.EMPTY),
     ("OtherPatientIDs", Action.REMOVE), ("StudyInstanceUID", Action.UID), ("StudyDate", Action.EMPTY),
     ("SeriesDate", Action.REMOVE), ("AcquisitionDate", Action.REMOVE), ("ContentDate", Action.EMPTY),
     ("PatientAge", Action.REMOVE), ("PatientSex", Action.EMPTY), ("StudyDescription", Action.REMOVE),
     ("InstitutionName", Action.REMOVE), ("DeviceSerialNumber", Action.REMOVE), ("SourceImageSequence", Action.UID),
     ("ReferencedStudySequence", Action.REMOVE), ("BodyPartExamined", Action.CUT), ("SoftwareVersions", Action.CUT),
     ("KVP", Action.KEEP), ("Rows", Action.KEEP), ("ContrastBolusAgent", Action.EMPTY)],
)  # fmt: skip
def test_the_basic_profile_alone(keyword, expected):
    assert action(keyword) is expected


@pytest.mark.parametrize(
    ("keyword", "option", "expected"),
    [("StudyDate", Option.MODIFIED_DATES, Action.SHIFT), ("AcquisitionTime", Option.MODIFIED_DATES, Action.SHIFT),
     ("StudyDate", Option.FULL_DATES, Action.KEEP), ("PatientBirthDate", Option.FULL_DATES, Action.EMPTY),
     ("PatientBirthDate", Option.MODIFIED_DATES, Action.EMPTY),
     ("PatientSex", Option.PATIENT_CHARACTERISTICS, Action.KEEP),
     ("PatientAge", Option.PATIENT_CHARACTERISTICS, Action.KEEP),
     ("Allergies", Option.PATIENT_CHARACTERISTICS, Action.CLEAN),
     ("StudyDescription", Option.CLEAN_DESCRIPTORS, Action.CLEAN),
     ("PatientAddress", Option.CLEAN_DESCRIPTORS, Action.REMOVE),
     ("StationName", Option.DEVICE_IDENTITY, Action.KEEP), ("DeviceUID", Option.DEVICE_IDENTITY, Action.KEEP),
     ("SOPInstanceUID", Option.UIDS, Action.KEEP), ("ReferencedStudySequence", Option.UIDS, Action.KEEP),
     ("InstitutionName", Option.INSTITUTION_IDENTITY, Action.KEEP),
     ("AcquisitionContextSequence", Option.CLEAN_STRUCTURED, Action.CLEAN)],
)  # fmt: skip
def test_options_change_their_own_rows(keyword, option, expected):
    assert action(keyword, option) is expected


def test_the_object_decides_what_may_be_left_out():
    assert action("AcquisitionContextSequence") is Action.REMOVE
    assert action("AcquisitionContextSequence", place=DX) is Action.EMPTY
    nested = Place(DX.sop_class, "OperatorIdentificationSequence")
    assert action("InstitutionName", place=nested) is not action("InstitutionName", place=DX)


def test_what_the_table_does_not_list_goes_by_its_kind():
    rules = Rules(frozenset())
    assert rules.action(0x00081199, "SomeName", "PN", CR) is Action.REMOVE
    assert rules.action(0x00081199, "SomeUID", "UI", CR) is Action.UID
    assert rules.action(0x00081199, "SomeDate", "DA", CR) is Action.REMOVE
    assert Rules(frozenset({Option.MODIFIED_DATES})).action(0x00081199, "SomeDate", "DA", CR) is Action.SHIFT
    assert rules.action(0x00081199, "SomeText", "LO", CR) is Action.CUT
    assert rules.action(0x00081199, "SomeNumber", "DS", CR) is Action.KEEP
