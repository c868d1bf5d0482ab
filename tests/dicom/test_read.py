import logging
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from radvit.dicom.read import Limits, find_files, frame_count, read
from radvit.errors import DicomReadError

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"


def refused(path, limits=None):
    with pytest.raises(DicomReadError) as caught:
        read(path, limits or Limits())
    return caught.value


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm"]
)
def test_reads_grey_images(name):
    assert read(BUNDLED / name).Rows > 0


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("SC_rgb_rle.dcm", "not-grayscale", "colour"),
        ("examples_palette.dcm", "not-grayscale", "colour"),
        ("liver_1frame.dcm", "not-an-image", "a segmentation"),
        ("rtstruct.dcm", "not-dicom", "DICM"),
        ("rtdose.dcm", "not-an-image", "dose"),
        ("rtplan.dcm", "not-an-image", "radiotherapy plan"),
        ("test-SR.dcm", "not-an-image", "structured report"),
        ("waveform_ecg.dcm", "not-an-image", "waveform"),
        ("dicomdirtests/DICOMDIR", "not-an-image", "DICOMDIR"),
        ("MR_truncated.dcm", "truncated", "8130 bytes"),
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
    assert frame_count(read(path, Limits(samples=240, frames=3, side=10))) == 3
    for limits in (Limits(samples=239), Limits(frames=2), Limits(side=9), Limits(file_bytes=100)):
        assert refused(path, limits).reason == "too-large"


def test_refuses_a_header_that_promises_more_pixels_than_there_are(grey_file):
    assert refused(grey_file(np.zeros((4, 4), np.uint8), Rows=60000)).reason == "too-large"
    assert refused(grey_file(np.zeros((4, 4), np.uint8), Rows=5)).reason == "truncated"


def test_refuses_a_deflate_bomb(grey_file, tmp_path):
    path = grey_file(np.zeros((4, 4), np.uint8))
    raw = path.read_bytes()
    meta_end = 132 + 12 + int.from_bytes(raw[140:144], "little")
    meta = raw[:meta_end].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(4_000_000)
    bomb = tmp_path / "bomb.dcm"
    dataset.save_as(bomb, enforce_file_format=True)
    assert bomb.stat().st_size < 10_000 < len(meta) + len(zlib.compress(bytes(10**8)))
    assert refused(bomb, Limits(file_bytes=1_000_000)).reason == "too-large"


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
        ({"PhotometricInterpretation": "RGB"}, "not-grayscale"),
        ({"SamplesPerPixel": 3}, "not-grayscale"),
    ],
)
def test_refuses_contradicting_headers(grey_file, attributes, reason):
    assert refused(grey_file(np.zeros((4, 4), np.uint16), **attributes)).reason == reason


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


def test_find_files_sorts_by_relative_path_and_skips_hidden(tmp_path):
    for name in ("b.dcm", "a/z.dcm", "a.dcm", ".hidden", ".git/x", "a/.y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]
    assert found == ["a.dcm", "a/z.dcm", "b.dcm"]
    assert find_files(tmp_path / "b.dcm") == [tmp_path / "b.dcm"]
    with pytest.raises(DicomReadError, match="no file or folder"):
        find_files(tmp_path / "nothing")
