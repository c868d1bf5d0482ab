import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from radvit.deid import walk
from radvit.deid.burned_in import FOR_RELEASE
from radvit.deid.file_copy import FileScrubber, sweep
from radvit.deid.options import parse_options
from radvit.errors import DeidError, DicomReadError, QuarantineError

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


def only_file(folder):
    (path,) = folder.rglob("*.dcm")
    return path


def test_what_was_written_is_told_in_pseudonyms(grey_file, tmp_path, pseudonymizer):
    source = grey_file(PIXELS, PatientName="Roe^Jane", BurnedInAnnotation="NO")
    written = FileScrubber(pseudonymizer).write(source, tmp_path / "out")
    assert (written.patient, written.study) == (pseudonymizer.patient("ID-7"), pseudonymizer.uid("1.2.3.5"))
    assert (written.image, written.modality) == (pseudonymizer.uid("1.2.3.4"), "CR")
    assert written.identity == {}
    assert written.scan.hits == 0
    assert written.scan.searched == only_file(tmp_path / "out").stat().st_size - PIXELS.nbytes


def test_identity_is_given_back_only_where_it_is_asked_for(grey_file, tmp_path, pseudonymizer):
    source = grey_file(PIXELS, PatientName="Roe^Jane", BurnedInAnnotation="NO")
    identity = FileScrubber(pseudonymizer, keep_identity=True).write(source, tmp_path / "out").identity
    assert identity[pseudonymizer.patient("ID-7")]["PatientName"] == "Roe^Jane"
    assert identity[pseudonymizer.uid("1.2.3.4")]["SOPInstanceUID"] == "1.2.3.4"


def test_an_identifier_that_is_left_costs_the_file(grey_file, tmp_path, pseudonymizer, monkeypatch):
    source = grey_file(PIXELS, PatientName="Vantrellis^Jane", BodyPartExamined="VANTRELLIS")
    monkeypatch.setattr(walk, "cut_suspicious", lambda text, identifiers: text)  # a fault in the walk
    with pytest.raises(QuarantineError, match="identifiers of the input are left, in BodyPartExamined") as caught:
        FileScrubber(pseudonymizer).write(source, tmp_path / "out")
    assert caught.value.reason == "identifier-left"
    assert "VANTRELLIS" not in str(caught.value)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_halved_colour_is_written_in_full(grey_file, tmp_path, pseudonymizer):
    source = get_testdata_file("SC_ybr_full_422_uncompressed.dcm", download=False)
    FileScrubber(pseudonymizer, options=parse_options([], ["clean-pixels"])).write(Path(source), tmp_path / "out")
    copy = dcmread(only_file(tmp_path / "out"))
    assert copy.PhotometricInterpretation == "YBR_FULL"
    np.testing.assert_array_equal(copy.pixel_array, dcmread(source).pixel_array)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_stays_colour(grey_file, tmp_path, pseudonymizer, photometric):
    samples = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    source = grey_file(samples[..., 0], SOPClassUID=SecondaryCaptureImageStorage)
    dataset = dcmread(source)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, 1
    dataset.PixelData = np.moveaxis(samples, -1, 0).tobytes()
    dataset.save_as(source)
    FileScrubber(pseudonymizer, options=parse_options([], ["clean-pixels"])).write(source, tmp_path / "out")
    copy = dcmread(only_file(tmp_path / "out"))
    assert (copy.PhotometricInterpretation, copy.PlanarConfiguration) == (photometric, 0)
    np.testing.assert_array_equal(np.frombuffer(copy.PixelData, np.uint8).reshape(8, 8, 3), samples)


def test_pixels_are_written_uncompressed_and_whole(grey_file, tmp_path, pseudonymizer):
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    FileScrubber(pseudonymizer).write(grey_file(pixels, BurnedInAnnotation="NO"), tmp_path / "out")
    copy = dcmread(only_file(tmp_path / "out"))
    assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert copy["PixelData"].VR == "OB"
    assert len(copy.PixelData) == 10
    np.testing.assert_array_equal(copy.pixel_array, pixels)


def test_a_uid_that_leads_out_of_the_folder_is_refused(grey_file, tmp_path, pseudonymizer):
    source = grey_file(PIXELS, "in/x.dcm", StudyInstanceUID="..", BurnedInAnnotation="NO")
    with pytest.raises(DicomReadError, match="StudyInstanceUID is missing or no UID"):
        FileScrubber(pseudonymizer, options=parse_options(["uids"])).write(source, tmp_path / "out")


def test_a_copy_of_an_earlier_run_is_withdrawn_where_the_file_is_now_refused(grey_file, tmp_path, pseudonymizer):
    source = grey_file(PIXELS, BurnedInAnnotation="YES")
    careless = FileScrubber(pseudonymizer, options=parse_options([], ["clean-pixels"]))
    careless.write(source, tmp_path / "out")
    assert only_file(tmp_path / "out").is_file()
    with pytest.raises(QuarantineError):
        FileScrubber(pseudonymizer).write(source, tmp_path / "out")
    assert list((tmp_path / "out").rglob("*.dcm")) == []


def test_pixels_are_called_clean_only_where_they_were_cleaned(grey_file, tmp_path, pseudonymizer):
    source = grey_file(PIXELS, BurnedInAnnotation="YES")
    FileScrubber(pseudonymizer, burned_in=replace(FOR_RELEASE, allow_none=True)).write(source, tmp_path / "out")
    copy = dcmread(only_file(tmp_path / "out"))
    assert copy.BurnedInAnnotation == "YES"
    assert "113101" not in [code.CodeValue for code in copy.DeidentificationMethodCodeSequence]


def test_what_dead_processes_left_is_swept_and_what_live_ones_write_stays(tmp_path):
    dead, live = tmp_path / "s/.a.dcm.99999999.part", tmp_path / f"s/.b.dcm.{os.getpid()}.part"
    dead.parent.mkdir()
    for part in (dead, live):
        part.touch()
    sweep(tmp_path)
    assert (dead.exists(), live.exists()) == (False, True)


def test_padding_goes_with_its_pixels(grey_file, tmp_path, pseudonymizer):
    pixels = np.full((4, 4), 0xF830, np.uint16)
    source = grey_file(pixels, BitsStored=12, HighBit=11, PixelPaddingValue=0xF830, BurnedInAnnotation="NO")
    FileScrubber(pseudonymizer).write(source, tmp_path / "out")
    copy = dcmread(only_file(tmp_path / "out"))
    assert copy.PixelPaddingValue == copy.pixel_array[0, 0] == 0x830


def test_a_folder_that_can_not_be_written_is_one_line(grey_file, tmp_path, pseudonymizer):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DeidError, match="can't write the de-identified file: "):
        FileScrubber(pseudonymizer).write(grey_file(PIXELS), tmp_path / "out")


def test_the_real_radiograph_loses_its_header_identity(real_cr, tmp_path, pseudonymizer):
    options = parse_options(["clean-descriptors"], ["clean-pixels"])
    FileScrubber(pseudonymizer, options=options).write(real_cr, tmp_path / "out")
    path = only_file(tmp_path / "out")
    header = path.read_bytes()[: -1760 * 2140 * 2].lower()
    for identity in (b"davidson", b"douglas", b"292821506", b"19760616", b"hughes", b"brown", b"scott community",
                     b"michael manor", b"e864535", b"20130713", b"1.2.840.1137", b"posda"):  # fmt: skip
        assert identity not in header
    copy = dcmread(path)
    assert copy.StudyDescription == "XR CHEST AP PORTABLE for"
    np.testing.assert_array_equal(copy.pixel_array, dcmread(real_cr).pixel_array)
