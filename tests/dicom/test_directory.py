"""Which files are read: folders, and what a DICOMDIR refers to."""

import logging
import shutil
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from radvit.dicom.directory import Directory, find_files, is_directory_file, read_directory
from radvit.dicom.limits import Limits
from radvit.errors import DicomReadError

DISC = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
NAMES = ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nooffset", "DICOMDIR-reordered"]


def test_find_files_sorts_by_relative_path_and_skips_hidden(tmp_path):
    for name in ("b.dcm", "a/z.dcm", "a.dcm", ".hidden", ".git/x", "a/.y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]
    assert found == ["a.dcm", "a/z.dcm", "b.dcm"]
    assert find_files(tmp_path / "b.dcm") == [tmp_path / "b.dcm"]
    with pytest.raises(DicomReadError, match="no file or folder"):
        find_files(tmp_path / "nothing")


def write_directory(path, *references, flags=None, **attributes):
    """A DICOMDIR whose records refer to files by these components."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.DirectoryRecordSequence = []
    for components, flag in zip(references, flags or [0xFFFF] * len(references), strict=True):
        record = Dataset()
        record.RecordInUseFlag, record.DirectoryRecordType = flag, "IMAGE"
        if components is not None:
            record.ReferencedFileID = components
        dataset.DirectoryRecordSequence.append(record)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_pydicom(name):
    """The bundled DICOMDIR and its variants refer to the same files as pydicom's own reader finds."""
    directory = read_directory(DISC / name)
    expected = {Path(instance.path) for instance in FileSet(DISC / "DICOMDIR")}
    assert len(directory.files) == len(expected) == 31
    assert set(directory.files) == expected
    assert directory.missing == 0
    assert directory.files[:2] == (DISC / "77654033/CR1/6154", DISC / "77654033/CR2/6247")


def test_a_directory_file_is_told_by_content_and_gives_its_files(tmp_path):
    shutil.copytree(DISC / "77654033", tmp_path / "77654033")
    shutil.copy(DISC / "DICOMDIR", tmp_path / "index.dat")
    assert is_directory_file(tmp_path / "index.dat")
    assert not is_directory_file(tmp_path / "77654033/CR1/6154")
    assert not is_directory_file(tmp_path)
    assert not is_directory_file(tmp_path / "nothing")
    assert len(find_files(tmp_path / "index.dat")) == 7
    assert read_directory(tmp_path / "index.dat").missing == 24


def test_a_folder_leaves_its_directory_file_out(tmp_path):
    shutil.copytree(DISC / "77654033/CR1", tmp_path / "77654033/CR1")
    shutil.copy(DISC / "DICOMDIR", tmp_path / "dicomdir")
    touch(tmp_path, "sub/DICOMDIR")  # of this name, but something else
    assert find_files(tmp_path) == [tmp_path / "77654033/CR1/6154", tmp_path / "sub/DICOMDIR"]


def test_what_is_missing_is_counted_on_the_log(tmp_path, caplog):
    touch(tmp_path, "A")
    path = write_directory(tmp_path / "DICOMDIR", ["A"], ["B"])
    with caplog.at_level(logging.WARNING):
        assert find_files(path) == [tmp_path / "A"]
    assert caplog.messages == ["1 files that the DICOMDIR refers to are not there"]
    (tmp_path / "A").unlink()
    with pytest.raises(DicomReadError, match="none of the 2 files"):
        find_files(path)
    assert find_files(write_directory(tmp_path / "DICOMDIR")) == []


def test_order_repetition_and_records_without_files(tmp_path):
    touch(tmp_path, "B/2", "A/1", "C")
    path = write_directory(tmp_path / "DICOMDIR", ["B", "2"], None, ["A", "1"], ["B", "2"], "C")
    assert read_directory(path) == Directory((tmp_path / "B/2", tmp_path / "A/1", tmp_path / "C"), 0)


def test_inactive_records_are_ignored(tmp_path):
    touch(tmp_path, "A", "B")
    path = write_directory(tmp_path / "DICOMDIR", ["A"], ["B"], flags=[0, 0xFFFF])
    assert read_directory(path) == Directory((tmp_path / "B",), 0)


def test_case_of_the_disc_may_differ(tmp_path):
    touch(tmp_path, "images/Im01", "images/IM02", "images/im02", "IMAGES2/x.dcm")
    path = write_directory(
        tmp_path / "DICOMDIR", ["IMAGES", "IM01"], ["IMAGES", "IM02"], ["images", "im02"], ["images2", "X.DCM"]
    )
    found = read_directory(path).files
    assert [file.relative_to(tmp_path).as_posix() for file in found] == [
        "images/Im01", "images/IM02", "images/im02", "IMAGES2/x.dcm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "components",
    [
        ["..", "secret"], ["DISC", "..", "..", "secret"], ["../secret"], ["/etc", "passwd"], ["..\\secret"],
        [".hidden"], ["A/B"], ["A" * 65], ["A\0B"], ["LINK"], ["LINKED", "secret"], ["A"] * 9, ["DISC"], ["", "A"],
        ["."],
    ],
)  # fmt: skip
def test_nothing_outside_the_folder_is_reached(tmp_path, components):
    touch(tmp_path, "secret", "disc/DISC/x", "disc/.hidden", "disc/A/B", "disc/" + "/".join("A" * 9).lower())
    (tmp_path / "disc/LINK").symlink_to(tmp_path / "secret")
    (tmp_path / "disc/LINKED").symlink_to(tmp_path, target_is_directory=True)
    path = write_directory(tmp_path / "disc/DICOMDIR", components)
    assert read_directory(path) == Directory((), 1)


def test_what_is_no_directory_is_refused(tmp_path):
    with pytest.raises(DicomReadError) as caught:
        read_directory(DISC / "77654033/CR1/6154")
    assert caught.value.reason == "bad-header"
    with pytest.raises(DicomReadError) as caught:
        read_directory(DISC / "README.txt")
    assert caught.value.reason == "not-dicom"
    with pytest.raises(DicomReadError) as caught:
        read_directory(tmp_path / "nothing")
    assert caught.value.reason == "not-a-file"


def test_the_directory_itself_is_guarded(tmp_path):
    with pytest.raises(DicomReadError) as caught:
        find_files(DISC / "DICOMDIR", Limits(elements=100))
    assert caught.value.reason == "too-large"
    raw = (DISC / "DICOMDIR").read_bytes()
    (tmp_path / "DICOMDIR").write_bytes(raw[:-500])
    with pytest.raises(DicomReadError) as caught:
        find_files(tmp_path / "DICOMDIR")
    assert caught.value.reason == "truncated"
