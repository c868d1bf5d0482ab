import logging
import warnings
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from radvit.dicom.parse import read_attributes
from radvit.dicom.read import Limits, frame_count, read, read_header
from radvit.errors import DicomReadError

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"


def refused(path, limits=None):
    with pytest.raises(DicomReadError) as caught:
        read(path, limits or Limits())
    return caught.value


@pytest.mark.parametrize(
    ("name", "photometric"),
    [
        ("CT_small.dcm", "MONOCHROME2"),
        ("MR_small_RLE.dcm", "MONOCHROME2"),
        ("image_dfl.dcm", "MONOCHROME2"),
        ("MR_small_bigendian.dcm", "MONOCHROME2"),
        ("SC_rgb_rle.dcm", "RGB"),
        ("SC_ybr_full_422_uncompressed.dcm", "YBR_FULL_422"),
        ("GDCMJ2K_TextGBR.dcm", "YBR_RCT"),
        ("examples_palette.dcm", "PALETTE COLOR"),
    ],
)
def test_reads_grey_and_colour(name, photometric):
    assert read(BUNDLED / name).PhotometricInterpretation == photometric


@pytest.mark.parametrize("path", sorted(p for p in BUNDLED.glob("*.dcm")), ids=lambda path: path.name)
def test_reads_what_pydicom_reads(path):
    """Element by element the same as dcmread, file meta and encoding included, wherever both read the file."""
    try:
        ours = read(path)
    except DicomReadError:
        return
    theirs = pydicom.dcmread(path)
    assert ours == theirs
    assert ours.file_meta == theirs.file_meta
    assert ours.preamble == theirs.preamble
    assert ours.original_encoding == theirs.original_encoding
    assert ours.original_character_set == theirs.original_character_set
    header = read_header(path)
    assert "PixelData" not in header
    assert all(element == theirs[element.tag] for element in header)
    assert len(header) == sum(element.tag < 0x7FE00008 for element in theirs)


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("liver_1frame.dcm", "not-an-image", "a segmentation"),
        ("rtstruct.dcm", "not-dicom", "DICM"),
        ("rtdose.dcm", "not-an-image", "dose"),
        ("rtplan.dcm", "not-an-image", "radiotherapy plan"),
        ("test-SR.dcm", "not-an-image", "structured report"),
        ("waveform_ecg.dcm", "not-an-image", "waveform"),
        ("dicomdirtests/DICOMDIR", "not-an-image", "DICOMDIR"),
        ("MR_truncated.dcm", "truncated", "8130 are left"),
        ("no_meta.dcm", "not-dicom", "DICM"),
        ("README.txt", "not-dicom", "DICM"),
        ("JPEGLSNearLossless_08.dcm", "bad-header", "StudyInstanceUID"),
    ],
)
def test_refuses_by_reason(name, reason, said):
    error = refused(BUNDLED / name)
    assert error.reason == reason
    assert said in str(error)


def test_refuses_what_is_missing_empty_or_a_folder(tmp_path):
    (tmp_path / "empty").touch()
    assert refused(tmp_path / "nothing").reason == "not-a-file"
    assert refused(tmp_path / "empty").reason == "not-dicom"
    assert refused(tmp_path).reason == "not-a-file"


def test_refuses_by_size_before_decoding(grey_file):
    path = grey_file(np.zeros((3, 8, 10), np.uint16))
    assert frame_count(read(path, Limits(pixel_bytes=480, frames=3, side=10))) == 3
    for limits in (Limits(pixel_bytes=479), Limits(frames=2), Limits(side=9), Limits(file_bytes=100)):
        assert refused(path, limits).reason == "too-large"


def test_refuses_a_header_that_promises_more_pixels_than_there_are(grey_file):
    assert refused(grey_file(np.zeros((4, 4), np.uint8), Rows=60000)).reason == "too-large"
    assert refused(grey_file(np.zeros((4, 4), np.uint8), Rows=5)).reason == "truncated"


def test_refuses_a_deflate_bomb(grey_file, tmp_path):
    path = grey_file(np.zeros((4, 4), np.uint8))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(4_000_000)  # the header adds some hundred bytes
    bomb = tmp_path / "bomb.dcm"
    dataset.save_as(bomb, enforce_file_format=True)
    assert bomb.stat().st_size < 10_000
    assert len(read(bomb, Limits(inflated_bytes=4_001_000)).PixelData) == 4_000_000
    assert refused(bomb, Limits(inflated_bytes=4_000_000)).reason == "too-large"


def test_a_deflated_file_that_is_cut_is_refused(tmp_path):
    whole = (BUNDLED / "image_dfl.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-1000])
    assert refused(tmp_path / "cut.dcm").reason == "truncated"


def test_a_group_length_that_lies_hides_no_deflated_bytes(grey_file, tmp_path):
    """The walk and the parser agree on where the data set begins, whatever (0002,0000) says."""
    dataset = pydicom.dcmread(grey_file(np.zeros((4, 4), np.uint8)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(4_000_000)
    dataset.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    raw = bytearray((tmp_path / "bomb.dcm").read_bytes())
    raw[140:144] = (len(raw) - 145).to_bytes(4, "little")
    (tmp_path / "bomb.dcm").write_bytes(raw)
    assert refused(tmp_path / "bomb.dcm", Limits(inflated_bytes=1_000_000)).reason == "too-large"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"StudyInstanceUID": "Jane Roe"}, "bad-header"),
        ({"SOPInstanceUID": "../../x"}, "bad-header"),
        ({"SOPClassUID": "1.2.3"}, "bad-header"),
        ({"BitsStored": 17}, "bad-header"),
        ({"BitsAllocated": 12}, "bad-header"),
        ({"HighBit": 2}, "bad-header"),
        ({"Rows": 0}, "bad-header"),
        ({"NumberOfFrames": 0}, "bad-header"),
        ({"PhotometricInterpretation": "RGB"}, "bad-header"),
        ({"PhotometricInterpretation": "CMYK", "SamplesPerPixel": 4}, "not-grayscale"),
        ({"SamplesPerPixel": 3}, "bad-header"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "truncated"),
        ({"BitsAllocated": 1, "BitsStored": 2}, "bad-header"),
        ({"PhotometricInterpretation": "PALETTE COLOR", "BitsAllocated": 32}, "bad-header"),
    ],
)
def test_refuses_contradicting_headers(grey_file, attributes, reason):
    assert refused(grey_file(np.zeros((4, 4), np.uint16), **attributes)).reason == reason


def test_single_bit_pixels_and_halved_chroma_are_counted_as_stored(grey_file):
    bits = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    assert read(grey_file(np.zeros((1, 2), np.uint8), Rows=3, Columns=5, **bits)).Columns == 5
    assert refused(grey_file(np.zeros((1, 2), np.uint8), Rows=3, Columns=6, **bits)).reason == "truncated"
    half = {"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    assert read(grey_file(np.zeros((4, 8), np.uint8), Columns=4, **half)).Columns == 4
    assert refused(grey_file(np.zeros((4, 8), np.uint8), Columns=6, **half)).reason == "truncated"


def test_a_header_is_read_where_the_pixels_are_missing(grey_file):
    dataset = pydicom.dcmread(grey_file(np.zeros((4, 4), np.uint8)))
    del dataset.PixelData
    dataset.save_as(dataset.filename)
    assert read_header(Path(dataset.filename)).Rows == 4
    assert refused(Path(dataset.filename)).reason == "no-pixels"


def test_attributes_alone():
    found = read_attributes(BUNDLED / "test-SR.dcm", ("StudyInstanceUID", "Rows"))
    assert found.StudyInstanceUID == pydicom.dcmread(BUNDLED / "test-SR.dcm").StudyInstanceUID
    assert not {"Rows", "PatientID", "ContentSequence"} & set(found.dir())


def test_messages_never_quote_the_file(grey_file):
    error = refused(grey_file(np.zeros((4, 4), np.uint16), PatientID="ROE^JANE", StudyInstanceUID="ROE^JANE"))
    assert "ROE" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_pydicom_says_nothing_about_odd_values(grey_file, caplog):
    path = grey_file(np.zeros((4, 4), np.uint16), PatientAge="JANE ROE", PatientBirthDate="19xx")
    with caplog.at_level(logging.WARNING, "radvit"), warnings.catch_warnings():
        warnings.simplefilter("error")
        read(path)
    assert not caplog.records


@pytest.mark.parametrize("cut", [0, 100, 131, 140, 200, 300, 400, 450, 530])
def test_a_file_cut_anywhere_gives_only_a_read_error(grey_file, tmp_path, cut):
    whole = grey_file(np.zeros((4, 4), np.uint16)).read_bytes()
    assert len(whole) == 532
    part = tmp_path / "part.dcm"
    part.write_bytes(whole[:cut])
    refused(part)


def test_noise_gives_only_read_errors(grey_file, tmp_path):
    """Bytes of the header overwritten at random: either it still reads, or it is refused properly."""
    whole = np.frombuffer(grey_file(np.zeros((4, 4), np.uint16)).read_bytes(), np.uint8)
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(300):
        broken = whole.copy()
        broken[rng.integers(132, len(whole), 4)] = rng.integers(0, 256, 4)
        path = tmp_path / "broken.dcm"
        path.write_bytes(broken.tobytes())
        try:
            read(path)
            outcomes.add("read")
        except DicomReadError as error:
            outcomes.add(error.reason)
    assert {"read", "bad-header"} <= outcomes
