import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian

from radvit.data.loader import Loader
from radvit.data.study_index import Place, StudyIndex
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.read import Limits
from radvit.dicom.select import parse_rules

PSEUDONYMS = Pseudonymizer(bytes(range(32)))
INDEX = StudyIndex(PSEUDONYMS)


def bundled(name):
    return get_testdata_file(name, download=False)


def saved(path, **changes):
    data = pydicom.dcmread(bundled("MR_small.dcm"))
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    data.save_as(path)
    return path


def test_agrees_with_the_loader(tmp_path):
    path = saved(tmp_path / "1.dcm", StudyInstanceUID="1.2.3")
    (image,) = Loader(PSEUDONYMS).load(path)
    assert INDEX.study_of(path) == image.header.study == PSEUDONYMS.uid("1.2.3")


@pytest.mark.parametrize("uid", ["", "Doe^John", "1" * 65])
def test_a_file_that_names_no_study(tmp_path, uid):
    assert INDEX.study_of(saved(tmp_path / "1.dcm", StudyInstanceUID=uid)) is None


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\xff" * 400])
def test_broken_files_have_no_study(tmp_path, content):
    (tmp_path / "bad.dcm").write_bytes(content)
    assert INDEX.study_of(tmp_path / "bad.dcm") is None


def test_a_file_that_is_not_there(tmp_path):
    assert INDEX.study_of(tmp_path / "none.dcm") is None


def test_a_deflated_file_is_inflated_only_within_the_limit(tmp_path):
    data = pydicom.dcmread(bundled("MR_small.dcm"))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.PixelData = bytes(len(data.PixelData))
    data.save_as(tmp_path / "deflated.dcm")
    assert INDEX.study_of(tmp_path / "deflated.dcm") == PSEUDONYMS.uid(str(data.StudyInstanceUID))
    assert (tmp_path / "deflated.dcm").stat().st_size < 5000 < len(data.PixelData)
    assert StudyIndex(PSEUDONYMS, Limits(inflated_bytes=5000)).study_of(tmp_path / "deflated.dcm") is None


def test_a_file_is_selected_by_its_header(tmp_path):
    path = saved(tmp_path / "1.dcm", StudyInstanceUID="1.2.3", SeriesDescription="T1 of Jane")
    (tmp_path / "bad.dcm").write_bytes(b"DICM")
    for pattern, selected in (("^t1", True), ("t2", False)):
        index = StudyIndex(PSEUDONYMS, selection=parse_rules({"include": [{"SeriesDescription": {"regex": pattern}}]}))
        assert index.place(path) == Place(PSEUDONYMS.uid("1.2.3"), selected)
        assert index.place(tmp_path / "bad.dcm") == Place(None, True)  # so that the loader says what is wrong
