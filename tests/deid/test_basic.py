import copy
import io

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag, tag_for_keyword

from radvit.deid.basic import deidentify
from radvit.deid.options import CLEANED_PATIENT_CHARACTERISTICS, DEFAULT, Option, parse_options
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.rescan import rescan
from radvit.deid.tables import actions
from radvit.errors import DeidError

PIXELS = np.zeros((4, 4), np.uint16)
NAME, NUMBER, BIRTH = "Zwolle^Quirin", "4711008150", "19300203"
TEXTS = """
    InstitutionName StationName StudyDescription ProtocolName SoftwareVersions BodyPartExamined FilterType
    DetectorDescription OtherPatientIDs AccessionNumber ImageComments PatientComments PerformingPhysicianName
    DeviceSerialNumber
"""
CLEANED = parse_options(["clean-descriptors"])


def written(dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def item(**values):
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def planted(grey_dataset):
    """A name and a number in texts of all kinds, and in odd places."""
    dataset = grey_dataset(PIXELS, PatientID=NUMBER, PatientName=NAME, PatientBirthDate=BIRTH, StudyDate="20200228")
    for keyword in TEXTS.split():
        tag = tag_for_keyword(keyword)
        dataset.add_new(tag, dictionary_VR(tag), f"ZWOLLE {NUMBER}")
    dataset.preamble = b"ZWOLLE".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "ZWOLLE"
    dataset.private_block(0x0029, "ZWOLLE PRIVATE", create=True).add_new(1, "LO", NAME)
    dataset.add_new(0x60003000, "OW", b"ZWOLLE")
    dataset.add_new(0x50003000, "OW", b"ZWOLLE")
    dataset.add_new(0xFFFCFFFC, "OB", b"ZWOLLE")
    dataset.add_new(0x00189999, "UN", b"ZWOLLE")
    deep = item(CodeValue=NUMBER, CodingSchemeDesignator="99L", CodeMeaning=f"for {NAME}", PersonName=NAME)
    dataset.ProcedureCodeSequence = [deep]
    dataset.AcquisitionContextSequence = [item(ConceptNameCodeSequence=[copy.deepcopy(deep)])]
    dataset.SharedFunctionalGroupsSequence = [
        item(FrameAnatomySequence=[item(AnatomicRegionSequence=[copy.deepcopy(deep)])])
    ]
    dataset.OriginalAttributesSequence = [item(ModifiedAttributesSequence=[item(PatientName=NAME)])]
    return dataset


@pytest.mark.parametrize("options", [DEFAULT, CLEANED, frozenset(), parse_options(["safe-private", "full-dates"])])
def test_nothing_planted_survives_in_the_bytes(planted, pseudonymizer, options):
    raw = written(planted)
    assert raw.count(b"ZWOLLE") > 15
    for dataset in (planted, dcmread(io.BytesIO(raw))):
        safe = written(deidentify(dataset, pseudonymizer, options).dataset).lower()
        for identity in (b"zwolle", b"quirin", NUMBER.encode(), BIRTH.encode()):
            assert identity not in safe
        assert safe[:128] == b"\0" * 128


def test_the_input_is_not_modified(planted, pseudonymizer):
    before = written(planted)
    safe = deidentify(planted, pseudonymizer, CLEANED).dataset
    safe.ProcedureCodeSequence[0].CodeValue = "1"
    assert written(planted) == before


def test_what_is_no_identity_stays(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, BodyPartExamined="CHEST", SoftwareVersions=["V5.1", "B30"], KVP="120")
    dataset.PatientName, dataset.StudyDescription = NAME, "CT chest for Zwolle"
    dataset.ManufacturerModelName = "CR 975"
    dataset.ProcedureCodeSequence = [item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Chest")]
    safe = deidentify(dataset, pseudonymizer, CLEANED).dataset
    assert (safe.BodyPartExamined, list(safe.SoftwareVersions), safe.KVP) == ("CHEST", ["V5.1", "B30"], 120)
    assert (safe.StudyDescription, safe.ManufacturerModelName) == ("CT chest for", "CR 975")
    assert safe.ProcedureCodeSequence == dataset.ProcedureCodeSequence
    assert "StudyDescription" not in deidentify(dataset, pseudonymizer, DEFAULT).dataset


def test_references_stay_whole(grey_dataset, pseudonymizer):
    first, second = grey_dataset(PIXELS), grey_dataset(PIXELS, SOPInstanceUID="1.2.99", FrameOfReferenceUID="1.2.50")
    first.FrameOfReferenceUID = "1.2.50"
    second.ReferencedImageSequence = [
        item(ReferencedSOPClassUID=first.SOPClassUID, ReferencedSOPInstanceUID=str(first.SOPInstanceUID))
    ]
    a, b = (deidentify(dataset, pseudonymizer, DEFAULT).dataset for dataset in (first, second))
    (reference,) = b.ReferencedImageSequence
    assert reference.ReferencedSOPInstanceUID == a.SOPInstanceUID == a.file_meta.MediaStorageSOPInstanceUID
    assert reference.ReferencedSOPClassUID == first.SOPClassUID
    assert a.FrameOfReferenceUID == b.FrameOfReferenceUID != "1.2.50"
    other = deidentify(first, Pseudonymizer(b"j" * 32), DEFAULT).dataset
    assert other.SOPInstanceUID != a.SOPInstanceUID


def test_it_says_what_was_done(grey_dataset, pseudonymizer):
    made = deidentify(grey_dataset(PIXELS), pseudonymizer, parse_options(["clean-descriptors", "device-identity"]))
    codes = [code.CodeValue for code in made.dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108", "113109"]
    assert made.dataset.PatientIdentityRemoved == "YES"
    assert made.dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    assert made.dataset.PatientID == str(made.dataset.PatientName) == made.patient == pseudonymizer.patient("ID-7")
    assert "PS3.15" in made.dataset.DeidentificationMethod


def test_the_tally_counts_letters_by_attribute(planted, pseudonymizer):
    tally = deidentify(planted, pseudonymizer, CLEANED).tally
    assert tally.done["X", "InstitutionName"] == tally.done["C", "StudyDescription"] == tally.done["K", "Rows"] == 1
    assert tally.done["D", "PatientName"] == 1
    assert tally.done["X", "(0018,9999)"] == 1
    assert (tally.private_removed, tally.private_kept) == (2, 0)


def test_safe_private_numbers_stay_with_their_creator(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0B, "LO", "secret")
    dataset.private_block(0x0019, "OTHER", create=True).add_new(0x0C, "IS", "7")
    made = deidentify(dataset, pseudonymizer, parse_options(["safe-private"]))
    kept = [element for element in made.dataset if element.tag.is_private]
    assert [str(element.value) for element in kept] == ["SIEMENS MR HEADER", "1000"]
    assert not [e for e in deidentify(dataset, pseudonymizer, DEFAULT).dataset if e.tag.is_private]


def test_a_needed_attribute_gets_a_dummy_where_it_would_be_empty(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, PatientName=NAME)
    dataset.ProcedureCodeSequence = [item(CodeValue="1", CodingSchemeDesignator="L", CodeMeaning="Zwolle")]
    safe = deidentify(dataset, pseudonymizer, DEFAULT).dataset
    assert safe.ProcedureCodeSequence[0].CodeMeaning == "REMOVED"


def test_an_object_stays_legal(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, PatientName=NAME, ResponsiblePerson="Roe^Ann", ResponsiblePersonRole="OWNER")
    dataset.PixelSpacingCalibrationType, dataset.PixelSpacingCalibrationDescription = "GEOMETRY", "Zwolle"
    dataset.OperatorIdentificationSequence = [item(PersonIdentificationCodeSequence=[item(CodeValue="1")])]
    dataset.ReferencedPerformedProcedureStepSequence = [item(ReferencedSOPInstanceUID="1.2.7")]
    safe = deidentify(dataset, pseudonymizer, DEFAULT).dataset
    assert "ResponsiblePersonRole" not in safe
    assert safe.PixelSpacingCalibrationDescription == "REMOVED"
    for step in safe.get("ReferencedPerformedProcedureStepSequence", []):
        assert step.ReferencedSOPInstanceUID == pseudonymizer.uid("1.2.7")


def test_words_of_imaging_stay_whatever_the_patient_is_called(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, PatientName="Cr^Hu", RescaleType="HU", BodyPartExamined="CR")
    made = deidentify(dataset, pseudonymizer, DEFAULT)
    assert (made.dataset.Modality, made.dataset.RescaleType, made.dataset.BodyPartExamined) == ("CR", "HU", "")
    assert rescan(b"", made.dataset, made.identifiers, made.own).hits == 0


def test_ages_of_90_and_more_are_capped_and_those_that_are_none_go(grey_dataset, pseudonymizer):
    ages = {"063Y": "063Y", "097Y": "090Y", "Jane": None}
    for age, expected in ages.items():
        safe = deidentify(grey_dataset(PIXELS, PatientAge=age), pseudonymizer, DEFAULT).dataset
        assert safe.get("PatientAge") == expected


def test_text_in_another_character_set_is_written_as_utf_8(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, SpecificCharacterSet="ISO_IR 144", PatientName="Вознесенцев^М")
    dataset.StudyDescription = "Грудная клетка Вознесенцев"
    safe = deidentify(dcmread(io.BytesIO(written(dataset))), pseudonymizer, CLEANED).dataset
    again = dcmread(io.BytesIO(written(safe)))
    assert (again.SpecificCharacterSet, again.StudyDescription) == ("ISO_IR 192", "Грудная клетка")


def test_without_uids_it_refuses(grey_dataset, pseudonymizer):
    with pytest.raises(DeidError, match="StudyInstanceUID or SOPInstanceUID is missing"):
        deidentify(grey_dataset(PIXELS, StudyInstanceUID=""), pseudonymizer, DEFAULT)


def test_sequences_without_end_are_cut(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    inner = dataset
    for _ in range(60):
        inner.ProcedureCodeSequence = [Dataset()]
        inner = inner.ProcedureCodeSequence[0]
    assert len(list(deidentify(dataset, pseudonymizer, DEFAULT).dataset.iterall())) < 70


def test_what_is_kept_must_be_what_its_kind_says(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, PatientSex="F", StudyDate="20200228", PatientName=NAME)
    dataset.add_new(0x00080022, "DA", "by Dr Who")  # AcquisitionDate
    dataset.add_new(0x00101010, "AS", "Jane")  # PatientAge
    dataset.add_new(0x00180015, "OB", b"SECRET")  # BodyPartExamined
    dataset.add_new(0x00081090, "OB", b"SECRET")  # ManufacturerModelName
    dataset.add_new(0x00180060, "LO", "SECRET")  # KVP
    dataset.add_new(0x00102160, "SH", "of Zwolle")  # EthnicGroup
    for options in (DEFAULT, parse_options(["full-dates", "device-identity"])):
        safe = deidentify(dataset, pseudonymizer, options).dataset
        raw = written(safe)
        assert b"SECRET" not in raw
        assert b"Who" not in raw
        assert (safe.PatientSex, safe.EthnicGroup) == ("F", "of")
        assert "PatientAge" not in safe


@pytest.mark.parametrize("word", ["SMITH 12.03.1950", "MRN 88", "J 4711008"])
def test_a_coded_word_that_looks_like_an_identifier_goes(grey_dataset, pseudonymizer, word):
    safe = deidentify(grey_dataset(PIXELS, BodyPartExamined=word), pseudonymizer, DEFAULT).dataset
    assert safe.BodyPartExamined == ""


def test_bytes_that_nobody_can_look_into_go(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    dataset.ICCProfile = b"SECRET" * 2
    dataset.add_new(0x7F000010, "OB", b"SECRET")
    dataset.EncryptedAttributesSequence = [item(EncryptedContent=b"SECRET")]
    dataset.WaveformSequence = [item(WaveformData=b"SECRET")]
    dataset.PixelDataProviderURL = "pacs.secret.org/SECRET"
    dataset.RedPaletteColorLookupTableData = b"\0\1"
    safe = deidentify(dataset, pseudonymizer, DEFAULT).dataset
    assert b"SECRET" not in written(safe)
    assert safe.RedPaletteColorLookupTableData == b"\0\1"


def test_overlay_texts_stay_only_where_texts_are_cleaned(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, PatientName=NAME)
    dataset.add_new(0x60000022, "LO", "lungs of Zwolle")
    graphics = deidentify(dataset, pseudonymizer, DEFAULT | {Option.CLEAN_GRAPHICS}).dataset
    assert (0x6000, 0x0022) not in graphics
    cleaned = deidentify(dataset, pseudonymizer, CLEANED | {Option.CLEAN_GRAPHICS}).dataset
    assert cleaned[0x6000, 0x0022].value == "lungs of"


@pytest.mark.parametrize(("modality", "kept"), [("CR", "CR"), ("JANE_ROE_WARD7", "OT"), ("", None)])
def test_a_modality_is_one_of_the_standard(grey_dataset, pseudonymizer, modality, kept):
    safe = deidentify(grey_dataset(PIXELS, Modality=modality), pseudonymizer, DEFAULT).dataset
    assert (safe.Modality or None) == kept


def test_a_time_of_day_does_not_hide_a_date_or_a_number(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, StudyDate="20190714", StudyTime="2019", PatientID="101112", SeriesTime="101112")
    dataset.ProcedureCodeSequence = [
        item(CodeValue="20190714", CodingSchemeDesignator="L", CodeMeaning="x"),
        item(CodeValue="101112", CodingSchemeDesignator="L", CodeMeaning="y"),
    ]
    safe = deidentify(dataset, pseudonymizer, DEFAULT).dataset
    assert [code.CodeValue for code in safe.ProcedureCodeSequence] == ["REMOVED", "REMOVED"]


def test_utf_8_that_nobody_declared(grey_dataset, pseudonymizer):
    for declared in ({}, {"SpecificCharacterSet": "ISO_IR 100"}):
        dataset = grey_dataset(PIXELS, SpecificCharacterSet="ISO_IR 192", PatientName="Mühlenbröker^Jürgen")
        dataset.StudyDescription = "Füße, Mühlenbröker Juergen"
        again = dcmread(io.BytesIO(written(dataset)))
        del again.SpecificCharacterSet
        for keyword, value in declared.items():
            setattr(again, keyword, value)
        safe = deidentify(dcmread(io.BytesIO(written(again))), pseudonymizer, CLEANED).dataset
        assert safe.StudyDescription == "Füße"


@pytest.mark.parametrize("suffix", ["", ".", ".77", " "])
def test_uids_in_texts_with_whatever_follows(grey_dataset, pseudonymizer, suffix):
    dataset = grey_dataset(PIXELS, StudyInstanceUID="1.2.840.99.3.5")
    code = item(LongCodeValue=f"study 1.2.840.99.3.5{suffix}", CodingSchemeDesignator="L", CodeMeaning="x")
    dataset.ProcedureCodeSequence = [code]
    assert "1.2.840.99" not in str(deidentify(dataset, pseudonymizer, CLEANED).dataset.ProcedureCodeSequence[0])


def test_uids_of_coding_schemes_stay_and_those_of_a_file_never_do(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, StudyInstanceUID="1.2.840.10008.1.1")
    dataset.CodingSchemeIdentificationSequence = [item(CodingSchemeUID="2.16.840.1.113883.6.96")]
    made = deidentify(dataset, pseudonymizer, DEFAULT)
    assert made.dataset.CodingSchemeIdentificationSequence[0].CodingSchemeUID == "2.16.840.1.113883.6.96"
    assert made.dataset.StudyInstanceUID == pseudonymizer.uid("1.2.840.10008.1.1")
    assert made.tally.done["K", "SOPClassUID"] == 1
    assert ("U", "SOPClassUID") not in made.tally.done


@pytest.mark.parametrize(
    ("attributes", "options"),
    [({"StudyID": "192"}, DEFAULT), ({"PatientID": "113107"}, DEFAULT), ({"PatientID": "DCM"}, DEFAULT),
     ({"PatientName": "Lin^Yu", "PixelIntensityRelationship": "LIN"}, DEFAULT),
     ({"PatientName": "Original^Primary", "ImageType": ["ORIGINAL", "PRIMARY"]}, DEFAULT),
     ({"PatientName": "Kim^Se Jin", "ScanningSequence": "SE"}, DEFAULT), ({"PatientName": "Yes^Iso"}, DEFAULT),
     ({"PatientBirthDate": "20200228", "StudyDate": "20200228"}, parse_options(["full-dates"])),
     ({"PatientBirthDate": "19000101", "ContentDate": "20200228"}, frozenset())],
)  # fmt: skip
def test_good_files_are_not_refused_for_what_stands_there_anyway(grey_dataset, pseudonymizer, attributes, options):
    made = deidentify(grey_dataset(PIXELS, **attributes), pseudonymizer, options)
    assert rescan(written(made.dataset), made.dataset, made.identifiers, made.own).hits == 0
    for keyword in ("PixelIntensityRelationship", "ImageType", "ScanningSequence"):
        assert made.dataset.get(keyword) == attributes.get(keyword)


def test_a_number_that_is_none_is_removed(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS, SliceLocation="123456")
    raw = written(dataset).replace(b"123456", b"N/A   ")
    safe = deidentify(dcmread(io.BytesIO(raw)), pseudonymizer, DEFAULT).dataset
    assert "SliceLocation" not in safe


def test_a_sop_class_that_stands_in_file_meta_alone(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    sop_class = dataset.SOPClassUID
    del dataset.SOPClassUID
    safe = deidentify(dataset, pseudonymizer, DEFAULT).dataset
    assert safe.SOPClassUID == safe.file_meta.MediaStorageSOPClassUID == sop_class
    del dataset.file_meta.MediaStorageSOPClassUID
    with pytest.raises(DeidError, match="SOP class is missing"):
        deidentify(dataset, pseudonymizer, DEFAULT)


def test_many_frames_with_references_of_their_own(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    dataset.PerFrameFunctionalGroupsSequence = [
        item(DerivationImageSequence=[item(SourceImageSequence=[item(ReferencedSOPInstanceUID=f"1.2.99.{n}")])])
        for n in range(2000)
    ]
    made = deidentify(dataset, pseudonymizer, DEFAULT)
    assert len(made.identifiers.uids) >= 2000
    assert rescan(written(made.dataset), made.dataset, made.identifiers, made.own).hits == 0
    assert rescan(b"at 1.2.99.1234.", Dataset(), made.identifiers, ()).hits == 1


def test_every_option_alone_gives_a_file_that_can_be_written(planted, pseudonymizer):
    for option in Option:
        again = dcmread(io.BytesIO(written(deidentify(planted, pseudonymizer, frozenset({option})).dataset)))
        assert (
            option.code in {code.CodeValue for code in again.DeidentificationMethodCodeSequence}
            or option is Option.CLEAN_PIXELS
        )


TEXT_VRS = ("LO", "SH", "ST", "LT", "UT", "UC", "CS", "PN", "AE", "UR")
EVERY_TEXT = [tag for tag, entry in DicomDictionary.items() if entry[0] in TEXT_VRS and tag >> 16 > 2]


@pytest.mark.parametrize("options", [DEFAULT, CLEANED, frozenset(Option) - {Option.MODIFIED_DATES}])
def test_a_name_in_every_text_attribute_of_the_dictionary(grey_dataset, pseudonymizer, options):
    dataset = grey_dataset(PIXELS, PatientName=NAME)
    nested = Dataset()
    for tag in EVERY_TEXT:
        if tag != 0x00080005 and tag not in dataset:
            dataset.add_new(tag, dictionary_VR(tag), "A ZWOLLE")
            nested.add_new(tag, dictionary_VR(tag), "zwolle^quirin")
    dataset.ProcedureCodeSequence = [nested]
    assert written(dataset).lower().count(b"zwolle") > 2 * len(EVERY_TEXT) - 20 > 2000
    raw = written(deidentify(dataset, pseudonymizer, options).dataset).lower()
    assert b"zwolle" not in raw
    assert b"quirin" not in raw


def test_what_the_table_removes_is_gone_whatever_it_says(grey_dataset, pseudonymizer):
    dataset = grey_dataset(PIXELS)
    planted = [tag for tag in EVERY_TEXT if actions().get(tag, "").startswith(("X", "Z", "D")) and tag not in dataset]
    words = {tag: "".join(chr(ord("a") + int(digit, 16)) for digit in f"{tag:08x}") for tag in planted}
    for tag, word in words.items():
        dataset.add_new(tag, dictionary_VR(tag), word)
    assert len(planted) > 250
    safe = deidentify(dataset, pseudonymizer, DEFAULT).dataset
    raw = written(safe)
    left = {keyword_for_tag(tag) for tag, word in words.items() if word.encode() in raw}
    assert left == set(CLEANED_PATIENT_CHARACTERISTICS)
