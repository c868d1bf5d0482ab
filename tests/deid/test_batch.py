import errno
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from radvit.deid.batch import deidentify_folder
from radvit.deid.file_copy import FileScrubber
from radvit.dicom.pixels import to_grey
from radvit.dicom.read import Limits, read
from radvit.errors import DeidError
from radvit.pool import Guard

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


@pytest.fixture
def folder(grey_file, tmp_path):
    for number in range(3):
        grey_file(PIXELS, f"in/Jane Roe/{number}.dcm", SOPInstanceUID=f"1.2.{number}", PatientName="ROE^JANE",
                  PatientID="4711008150", PixelIntensityRelationshipSign=-1, PixelIntensityRelationship="LOG",
                   StudyInstanceUID=f"1.2.3.{number // 2}")  # fmt: skip
    (tmp_path / "in/readme.txt").write_text("no image")
    return tmp_path / "in"


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_writes_every_image_and_names_every_failure(folder, tmp_path, pseudonymizer, workers):
    seen = []
    out = tmp_path / f"out{workers}"
    summary = deidentify_folder(folder, out, FileScrubber(pseudonymizer), workers, lambda *done: seen.append(done))
    assert (summary.written, summary.blanked) == (3, 0)
    assert [(str(f.path), f.reason) for f in summary.failures] == [("readme.txt", "not-dicom")]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    names = {f"{pseudonymizer.uid(f'1.2.3.{n // 2}')}/{pseudonymizer.uid(f'1.2.{n}')}.dcm" for n in range(3)}
    assert set(tree(out)) == names
    for raw in tree(out).values():
        assert b"ROE" not in raw
        assert b"4711008150" not in raw


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_hostile_file_costs_itself_alone(grey_file, tmp_path, pseudonymizer, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # worker processes get the same path
    from hostile_scrubber import HostileScrubber

    for number, name in enumerate(["a", "greedy", "hang", "kill", "z"]):
        grey_file(PIXELS, f"in/{name}.dcm", SOPInstanceUID=f"1.2.{number}")
    guard = Guard(memory_mb=512, deadline_s=1.5)
    summary = deidentify_folder(tmp_path / "in", tmp_path / "out", HostileScrubber(pseudonymizer), 2, guard=guard)
    assert [(f.path.stem, f.reason) for f in summary.failures] == [
        ("greedy", "memory"),
        ("hang", "timeout"),
        ("kill", "crashed"),
    ]
    assert summary.written == 2
    assert {path.stem for path in (tmp_path / "out").rglob("*.dcm")} == {pseudonymizer.uid(f"1.2.{n}") for n in (0, 4)}


def test_the_copy_has_the_same_grey_and_is_legal(folder, tmp_path, pseudonymizer):
    deidentify_folder(folder, tmp_path / "out", FileScrubber(pseudonymizer))
    for path in (tmp_path / "out").rglob("*.dcm"):
        copy = read(path)
        np.testing.assert_array_equal(to_grey(copy)[0][0], to_grey(read(folder / "Jane Roe/0.dcm"))[0][0])
        assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_twice_gives_the_same_bytes(folder, tmp_path, pseudonymizer):
    for name in ("a", "b"):
        deidentify_folder(folder, tmp_path / name, FileScrubber(pseudonymizer))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_unused_bits_are_cleared_whatever_they_hold(grey_file, tmp_path, pseudonymizer):
    source = grey_file(PIXELS | 0xA400, "in/x.dcm", BitsStored=10, HighBit=9)
    FileScrubber(pseudonymizer).write(source, tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.dcm")
    np.testing.assert_array_equal(np.frombuffer(dcmread(path).PixelData, "<u2").reshape(8, 8), PIXELS)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_big_endian_and_odd_lengths(grey_file, tmp_path, pseudonymizer, dtype):
    pixels = np.arange(-4 if dtype == np.int16 else 0, 5).astype(dtype)[None]
    source = grey_file(pixels, "in/x.dcm", big_endian=True)
    FileScrubber(pseudonymizer).write(source, tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.dcm")
    np.testing.assert_array_equal(to_grey(read(path))[0][0], to_grey(read(source))[0][0])


def test_single_bits_are_written_as_bytes(grey_file, tmp_path, pseudonymizer):
    bits = np.array([[0, 1, 1, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, 1, 1, 1]], np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    path = grey_file(bits, BitsAllocated=1, BitsStored=1, HighBit=0, BurnedInAnnotation="NO")
    dataset = dcmread(path)
    dataset.PixelData = packed
    dataset.save_as(path)
    summary = deidentify_folder(path, tmp_path / "out", FileScrubber(pseudonymizer), workers=0)
    assert (summary.written, summary.failures) == (1, ())
    (written,) = (tmp_path / "out").rglob("*.dcm")
    np.testing.assert_array_equal(dcmread(written).pixel_array, bits)
    np.testing.assert_array_equal(to_grey(read(written))[0][0], to_grey(read(path))[0][0])


def test_every_bundled_file_is_written_or_fails_with_a_reason(tmp_path, pseudonymizer):
    source = Path(pydicom.data.__file__).parent / "test_files"
    outcomes = []
    summary = deidentify_folder(source, tmp_path / "out", FileScrubber(pseudonymizer), 0, done=outcomes.append)
    assert summary.written == 44
    anatomy = [one for one in outcomes if getattr(one, "modality", "") in ("CT", "MR", "NM")]
    assert len(anatomy) > 30
    assert all((one.searched, one.blanked) == (True, 0) for one in anatomy)  # no bone is taken for text
    assert {failure.reason for failure in summary.failures} == {
        *("no-pixels", "not-an-image", "not-dicom", "bad-header", "truncated", "decode-failed"),
        "duplicate",  # the same image in several transfer syntaxes
        *("capture", "ultrasound"),  # without text
    }
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert dcmread(path).pixel_array.size


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("differs", ["StudyInstanceUID", "PatientID"])
def test_of_two_files_with_one_instance_the_first_stands_as_reported(
    grey_file, tmp_path, pseudonymizer, workers, differs
):
    for name, value in (("a", "1.2.7"), ("b", "1.2.8"), ("c", "1.2.9")):
        grey_file(PIXELS, f"in/{name}.dcm", **{"SOPInstanceUID": "1.2.3", "PatientID": "same", differs: value})
    outcomes = []
    deidentify_folder(tmp_path / "in", tmp_path / "out", FileScrubber(pseudonymizer), workers, done=outcomes.append)
    first, second, third = outcomes
    (path,) = (tmp_path / "out").rglob("*.dcm")
    copy = dcmread(path)
    assert (copy.PatientID, copy.StudyInstanceUID) == (first.patient, first.study)
    assert (first.patient, first.study) == (
        pseudonymizer.patient("1.2.7" if differs == "PatientID" else "same"),
        pseudonymizer.uid("1.2.7" if differs == "StudyInstanceUID" else "1.2.3.5"),
    )
    assert [(f.path.name, f.reason) for f in (second, third)] == [("b.dcm", "duplicate"), ("c.dcm", "duplicate")]


def test_a_source_that_changes_under_the_batch_ends_it(folder, tmp_path, pseudonymizer):
    class Changing(FileScrubber):
        def write(self, source, target):
            return super().write(folder / "Jane Roe/0.dcm", target)

    with pytest.raises(DeidError, match="changed while the batch ran"):
        deidentify_folder(folder, tmp_path / "out", Changing(pseudonymizer), 0)


def test_a_full_disk_ends_the_batch(folder, tmp_path, pseudonymizer, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    outcomes = []
    with pytest.raises(DeidError, match="disk is full, 1 of 4 files in; make room"):
        deidentify_folder(folder, tmp_path / "out", FileScrubber(pseudonymizer), 0, done=outcomes.append)
    assert [one.reason for one in outcomes] == ["disk"]
    assert not list((tmp_path / "out").rglob("*.*cm*"))


def test_the_folder_of_a_dicomdir_is_no_target(tmp_path, pseudonymizer):
    disc = tmp_path / "disc"
    shutil.copytree(Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests", disc)
    with pytest.raises(DeidError, match="lie in one another"):
        deidentify_folder(disc / "DICOMDIR", disc / "out", FileScrubber(pseudonymizer))
    assert deidentify_folder(disc / "DICOMDIR", tmp_path / "out", FileScrubber(pseudonymizer), 0).written == 31


def test_a_file_that_fails_leaves_nothing_behind(folder, tmp_path, pseudonymizer):
    summary = deidentify_folder(folder, tmp_path / "out", FileScrubber(pseudonymizer, Limits(pixel_bytes=1)))
    assert [f.reason for f in summary.failures] == ["too-large"] * 3 + ["not-dicom"]
    assert not list(tmp_path.glob("out/**/*"))


def test_folders_in_one_another_are_refused(folder, pseudonymizer):
    for target in (folder, folder / "out", folder.parent):
        with pytest.raises(DeidError, match="two separate folders"):
            deidentify_folder(folder, target, FileScrubber(pseudonymizer))


def test_the_real_radiograph(real_cr, tmp_path, pseudonymizer):
    summary = deidentify_folder(real_cr, tmp_path / "out", FileScrubber(pseudonymizer))
    assert (summary.written, summary.failures) == (1, ())
    assert summary.blanked >= 2
    (raw,) = tree(tmp_path / "out").values()
    source = dcmread(real_cr)
    for identity in (
        "DAVIDSON",
        "DOUGLAS",
        "292821506",
        "HUGHES",
        "Scott",
        "Michael",
        "864535",
        "19760616",
        "20130713",
    ):
        assert identity.encode() not in raw
    for uid in (source.SOPInstanceUID, source.StudyInstanceUID, source.SeriesInstanceUID):
        assert uid.encode() not in raw
    copy = read(next((tmp_path / "out").rglob("*.dcm")))
    assert (copy.BurnedInAnnotation, copy.DeidentificationMethodCodeSequence[-1].CodeValue) == ("NO", "113101")
