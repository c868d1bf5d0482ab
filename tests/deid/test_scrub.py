import copy
import datetime
import io
import re

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword

from radvit.deid.options import Option, parse_options
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.scrub import scrub
from radvit.deid.statement import declare_clean_pixels
from radvit.errors import DeidError

NAME, NUMBER = "ZWOLLE^QUIRIN", "4711008150"
PIXELS = np.zeros((4, 4), np.uint16)
TEXT_KEYWORDS = """
    PatientComments InstitutionName InstitutionAddress ReferringPhysicianName StudyDescription SeriesDescription
    ProtocolName OperatorsName StationName AccessionNumber StudyID OtherPatientIDs PatientAddress ImageComments
    DeviceSerialNumber PatientTelephoneNumbers RequestingPhysician DerivationDescription SoftwareVersions
    Manufacturer ManufacturerModelName AdmissionID CurrentPatientLocation RescaleType LUTExplanation
    WindowCenterWidthExplanation BodyPartExamined ViewPosition Laterality ImageType Modality PatientOrientation
    PatientPosition PatientSex LossyImageCompressionMethod ScanOptions PositionerType PatientAge EthnicGroup
"""


def written(dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


@pytest.fixture
def planted(grey_dataset):
    """A data set with a name and a number in every place that could hold one, however deep."""
    dataset = grey_dataset(PIXELS, PatientID=NUMBER, PatientName=NAME, PatientBirthDate="19300203", StudyTime="101112")
    dataset.preamble = NAME.encode().ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "ZWOLLE"
    dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{NUMBER}"
    for keyword in TEXT_KEYWORDS.split():
        tag = tag_for_keyword(keyword)
        dataset.add_new(tag, dictionary_VR(tag), "ZWOLLE")
    for keyword, uid in {
        "SOPInstanceUID": 1,
        "StudyInstanceUID": 2,
        "SeriesInstanceUID": 3,
        "FrameOfReferenceUID": 4,
    }.items():
        setattr(dataset, keyword, f"1.2.{NUMBER}.{uid}")
    private = dataset.private_block(0x0029, "ZWOLLE PRIVATE", create=True)
    private.add_new(1, "LO", NAME)
    inner = Dataset()
    inner.PatientName, inner.PatientComments, inner.WindowCenter = NAME, NAME, "40"
    inner.private_block(0x0031, "ZWOLLE", create=True).add_new(1, "LT", NAME)
    inner.AnatomicRegionSequence = [code(NUMBER, "99LOCAL", NAME), code("51185008", "SCT", NAME)]
    group = Dataset()
    group.FrameVOILUTSequence = [inner]
    group.PlanePositionSequence = [copy.deepcopy(inner)]
    group.ReferencedImageSequence = [copy.deepcopy(inner)]
    dataset.SharedFunctionalGroupsSequence = [group]
    dataset.ViewCodeSequence = [code("R-10202", "SRT", NAME)]
    dataset.OtherPatientIDsSequence = [copy.deepcopy(inner)]
    dataset.RequestAttributesSequence = [copy.deepcopy(inner)]
    dataset.add_new(0x60000022, "LO", NAME)
    dataset.add_new(0x60003000, "OW", NAME.encode() + b"\0")
    dataset.add_new(0x50000000 + 0x3000, "OW", NAME.encode() + b"\0")
    dataset.add_new(0xFFFCFFFC, "OB", NAME.encode() + b"\0")
    dataset.add_new(0x00189999, "UN", NAME.encode() + b"\0")
    return dataset


def test_nothing_planted_survives_in_the_written_bytes(planted, pseudonymizer):
    assert written(planted).count(b"ZWOLLE") > 30
    raw = written(scrub(planted, pseudonymizer))
    for identity in (b"ZWOLLE", b"QUIRIN", NUMBER.encode(), b"19300203", b"101112"):
        assert identity not in raw
    assert raw[:128] == b"\0" * 128


def test_a_file_read_back_from_disk_too(planted, pseudonymizer):
    raw = written(scrub(dcmread(io.BytesIO(written(planted))), pseudonymizer))
    for identity in (b"ZWOLLE", b"QUIRIN", NUMBER.encode(), b"19300203"):
        assert identity not in raw


def test_what_imaging_needs_stays_where_it_was(planted, pseudonymizer):
    safe = scrub(planted, pseudonymizer)
    assert safe.PixelData == planted.PixelData
    assert (safe.Rows, safe.BitsStored, safe.PhotometricInterpretation) == (4, 16, "MONOCHROME2")
    group = safe.SharedFunctionalGroupsSequence[0]
    assert group.FrameVOILUTSequence[0].WindowCenter == 40
    assert list(group.keys()) == [tag_for_keyword("PlanePositionSequence"), tag_for_keyword("FrameVOILUTSequence")]
    (region,) = group.FrameVOILUTSequence[0].AnatomicRegionSequence
    assert (region.CodeValue, region.CodeMeaning) == ("51185008", "Chest")
    assert safe.ViewCodeSequence[0].CodeMeaning == "frontal"


def test_it_says_what_was_done(planted, pseudonymizer):
    safe = scrub(planted, pseudonymizer)
    assert safe.PatientIdentityRemoved == "YES"
    assert "radvit" in safe.DeidentificationMethod
    assert [item.CodeValue for item in safe.DeidentificationMethodCodeSequence] == ["113100", "113107", "113108"]
    declare_clean_pixels(safe)
    assert safe.DeidentificationMethodCodeSequence[-1].CodeValue == "113101"
    assert safe.PatientID == str(safe.PatientName) == pseudonymizer.patient(NUMBER)
    assert safe.file_meta.MediaStorageSOPInstanceUID == safe.SOPInstanceUID
    assert safe.PatientBirthDate == safe.AccessionNumber == ""


def test_the_input_is_not_modified(planted, pseudonymizer):
    before, bytes_before = planted.to_json(), written(planted)
    safe = scrub(planted, pseudonymizer)
    safe.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0].WindowCenter = "1"
    safe.DeidentificationMethodCodeSequence.clear()
    assert planted.to_json() == before
    assert written(planted) == bytes_before


def test_uids_agree_across_files_and_instances_and_differ_by_key(grey_dataset):
    first, second = grey_dataset(PIXELS), grey_dataset(PIXELS, SOPInstanceUID="1.2.3.99")
    a, b = (scrub(d, Pseudonymizer(b"k" * 32)) for d in (first, second))
    other = scrub(first, Pseudonymizer(b"j" * 32))
    assert (a.StudyInstanceUID, a.SeriesInstanceUID) == (b.StudyInstanceUID, b.SeriesInstanceUID)
    assert len({a.SOPInstanceUID, b.SOPInstanceUID, other.SOPInstanceUID}) == 3
    assert a.PatientID != other.PatientID
    assert re.fullmatch(r"2\.25\.\d+", a.SOPInstanceUID)
    assert len({a.SOPInstanceUID, a.StudyInstanceUID, a.SeriesInstanceUID}) == 3


def test_dates_shift_and_intervals_stay(grey_dataset, pseudonymizer):
    days = {"StudyDate": "20200228", "SeriesDate": "20200229", "AcquisitionDate": "20200301", "ContentDate": "junk"}
    earlier = scrub(grey_dataset(PIXELS, **days), pseudonymizer)
    later = scrub(grey_dataset(PIXELS, StudyDate="20210228"), pseudonymizer)
    elsewhere = scrub(grey_dataset(PIXELS, StudyDate="20200228", PatientID="ID-8"), pseudonymizer)

    def date(text):
        return datetime.datetime.strptime(text, "%Y%m%d").date()

    assert (date(earlier.AcquisitionDate) - date(earlier.StudyDate)).days == 2
    assert (date(later.StudyDate) - date(earlier.StudyDate)).days == 366
    assert (date("20200228") - date(earlier.StudyDate)).days == pseudonymizer.offset_days("ID-7")
    assert elsewhere.StudyDate != earlier.StudyDate
    assert earlier.ContentDate == ""


def test_words_outside_the_vocabulary_go(grey_dataset, pseudonymizer):
    safe = scrub(
        grey_dataset(PIXELS, BodyPartExamined="CHEST", ViewPosition="PA", ImageType=["DERIVED", "JANE", "PRIMARY"],
                     Manufacturer="GE MEDICAL of Jane", PatientOrientation=["L", "F"], PatientSex="F"),
        pseudonymizer,
    )  # fmt: skip
    assert (safe.BodyPartExamined, safe.ViewPosition, safe.PatientSex, safe.Manufacturer) == ("CHEST", "PA", "F", "GE")
    assert list(safe.ImageType) == ["DERIVED", "", "PRIMARY"]
    assert list(safe.PatientOrientation) == ["L", "F"]
    assert "Manufacturer" not in scrub(grey_dataset(PIXELS, Manufacturer="Jane Roe"), pseudonymizer)


def test_numbers_that_are_none_go(grey_dataset, pseudonymizer):
    raw = written(grey_dataset(PIXELS, ExposureIndex="123456", KVP="1e2", SeriesNumber="7"))
    safe = scrub(dcmread(io.BytesIO(raw.replace(b"123456", b"ZWOLLE"))), pseudonymizer)
    assert "ExposureIndex" not in safe
    assert (safe.KVP, safe.SeriesNumber) == (100, 7)


def test_a_patient_without_an_id_is_known_by_the_study(grey_dataset, pseudonymizer):
    a, b = (scrub(grey_dataset(PIXELS, PatientID=v), pseudonymizer) for v in ("", " "))
    c = scrub(grey_dataset(PIXELS, PatientID="", StudyInstanceUID="1.2.9"), pseudonymizer)
    assert a.PatientID == b.PatientID != c.PatientID


def test_without_uids_it_refuses(grey_dataset, pseudonymizer):
    with pytest.raises(DeidError, match="StudyInstanceUID or SOPInstanceUID is missing"):
        scrub(grey_dataset(PIXELS, StudyInstanceUID=""), pseudonymizer)


def test_without_a_transfer_syntax_it_refuses(pseudonymizer):
    bare = Dataset()
    bare.SOPInstanceUID, bare.StudyInstanceUID = "1.2.3", "1.2.4"
    with pytest.raises(DeidError, match="transfer syntax"):
        scrub(bare, pseudonymizer)


def test_functional_groups_nested_without_end_are_cut(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    inner = dataset
    for _ in range(50):
        inner.SharedFunctionalGroupsSequence = [Dataset()]
        inner = inner.SharedFunctionalGroupsSequence[0]
    assert len(list(scrub(dataset, pseudonymizer).iterall())) < 60


def test_options_change_dates_and_what_is_told_of_the_patient(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, StudyDate="20200228", PatientSex="F", PatientAge="063Y")
    full = scrub(dataset, pseudonymizer, options=parse_options(["full-dates"]))
    assert full.StudyDate == "20200228"
    assert (full.PatientSex, full.PatientAge) == ("F", "063Y")
    assert full.LongitudinalTemporalInformationModified == "UNMODIFIED"
    codes = [item.CodeValue for item in full.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113106", "113108"]
    bare = scrub(dataset, pseudonymizer, options=frozenset[Option]())
    assert (bare.StudyDate, bare.PatientSex) == ("", "")
    assert "PatientAge" not in bare
    assert bare.LongitudinalTemporalInformationModified == "REMOVED"
