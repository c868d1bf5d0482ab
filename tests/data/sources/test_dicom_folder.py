from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom.data
import pytest

from radvit.data.loader import Loader
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError, DicomReadError
from radvit.records import Lesion

LOADER = Loader(Pseudonymizer(b"k" * 32))


@pytest.fixture
def folder(tmp_path: Path, write_radiograph: Callable[..., str], write_truth: Callable[..., Path]) -> Path:
    uids = [write_radiograph(tmp_path / "in" / f"{name}.dcm", i) for i, name in enumerate("cab")]
    write_truth(tmp_path / "truth.json", uids, [[[4, 5, 20, 10], [1, 2, 3, 4]], [], [[0, 0, 8, 8]]])
    return tmp_path


def open_folder(folder: Path, labels: tuple[str, ...] = ("nodule",), truth: str | None = "truth.json") -> DicomFolder:
    return DicomFolder(folder / "in", LOADER, folder / truth if truth else None, labels)


def test_files_come_in_the_order_of_their_names_with_their_own_boxes(folder: Path) -> None:
    source = open_folder(folder)
    assert [file.name for file in source.files] == ["a.dcm", "b.dcm", "c.dcm"]
    a, b, c = (source.read(i)[0] for i in range(len(source)))
    assert (a.targets, a.lesions) == ((0.0,), ())
    assert b.lesions == (Lesion((0.0, 0.0, 8.0, 8.0), 0, 9.5),)
    assert [lesion.box_px for lesion in c.lesions] == [(4.0, 5.0, 24.0, 15.0), (1.0, 2.0, 4.0, 6.0)]
    assert c.targets == (1.0,)
    assert c.image.header.patient.startswith("P-")


def test_labels_are_the_categories_asked_for_in_that_order(folder: Path) -> None:
    assert open_folder(folder, ("mass", "nodule")).read(2)[0].targets == (0.0, 1.0)
    assert open_folder(folder, ("mass",)).read(2)[0].lesions == ()
    with pytest.raises(DataError, match="no category fracture; it has mass, nodule"):
        open_folder(folder, ("fracture",))


def test_a_dicomdir_gives_the_files_it_refers_to(tmp_path: Path) -> None:
    disc = Path(str(pydicom.data.get_testdata_file("dicomdirtests/DICOMDIR", download=False))).parent
    shutil.copytree(disc / "77654033", tmp_path / "77654033")
    shutil.copy(disc / "DICOMDIR", tmp_path)
    source = DicomFolder(tmp_path / "DICOMDIR", LOADER, None, ("nodule",))
    assert [file.relative_to(tmp_path).as_posix() for file in source.files[:2]] == [
        "77654033/CR1/6154",
        "77654033/CR2/6247",
    ]
    assert len(source) == 7
    assert source.fingerprint() == DicomFolder(tmp_path / "DICOMDIR", LOADER, None, ("nodule",)).fingerprint()


def test_without_truth_targets_are_unknown(folder: Path) -> None:
    [only] = open_folder(folder, truth=None).read(0)
    assert np.isnan(only.targets).all()
    assert only.lesions == ()


def test_a_file_the_truth_does_not_list_is_not_taken_for_healthy(
    folder: Path, write_radiograph: Callable[..., str]
) -> None:
    write_radiograph(folder / "in" / "d.dcm", 99)
    with pytest.raises(DataError, match="no such image"):
        open_folder(folder).read(3)


def test_each_frame_is_an_image(
    tmp_path: Path, write_radiograph: Callable[..., str], write_truth: Callable[..., Path]
) -> None:
    uid = write_radiograph(tmp_path / "in" / "cine.dcm", 0, frames=3)
    assert [x.image.header.frame for x in open_folder(tmp_path, truth=None).read(0)] == [0, 1, 2]
    write_truth(tmp_path / "truth.json", [uid], [[[1, 1, 5, 5]]], frame=2)
    [only] = open_folder(tmp_path).read(0)
    assert only.image.header.frame == 2
    assert only.targets == (1.0,)


def test_images_named_by_file_and_patients_named_by_the_truth(folder: Path) -> None:
    images = [
        {"id": 1, "file_name": "b.dcm", "patient_id": "ROE^JANE"},
        {"id": 2, "file_name": "deep/a.dcm"},
    ]
    annotations = [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}]
    record = {"images": images, "annotations": annotations, "categories": [{"id": 5, "name": "nodule"}]}
    (folder / "truth.json").write_text(json.dumps(record))
    (folder / "in" / "deep").mkdir()
    (folder / "in" / "a.dcm").rename(folder / "in" / "deep" / "a.dcm")
    b, c, a = range(3)  # the order of relative paths
    source = open_folder(folder)
    [boxed], [plain] = source.read(b), source.read(a)
    assert boxed.lesions == (Lesion((1.0, 2.0, 4.0, 6.0), 0),)
    assert boxed.image.header.patient == LOADER.pseudonymizer.patient("ROE^JANE")
    assert plain.lesions == ()
    assert plain.image.header.patient == LOADER.load(source.files[a])[0].header.patient
    with pytest.raises(DataError, match="no such image"):
        source.read(c)


def test_a_truth_of_another_size_is_refused(
    tmp_path: Path, write_radiograph: Callable[..., str], write_truth: Callable[..., Path]
) -> None:
    uid = write_radiograph(tmp_path / "in" / "a.dcm", 0, shape=(80, 64))
    write_truth(tmp_path / "truth.json", [uid], [[]], height=64, width=80)
    with pytest.raises(DataError, match=r"image of \(80, 64\) pixels; the truth says \(64, 80\)"):
        open_folder(tmp_path).read(0)


def test_a_broken_file_raises_its_own_error(folder: Path) -> None:
    (folder / "in" / "a.dcm").write_bytes(b"nothing")
    with pytest.raises(DicomReadError):
        open_folder(folder).read(0)


def test_the_truth_beside_the_images_is_no_image(
    tmp_path: Path, write_radiograph: Callable[..., str], write_truth: Callable[..., Path]
) -> None:
    uid = write_radiograph(tmp_path / "in" / "a.dcm", 0)
    truth = write_truth(tmp_path / "in" / "truth.json", [uid], [[]])
    assert len(DicomFolder(tmp_path / "in", LOADER, truth, ("nodule",))) == 1


def test_a_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: .*expected a folder of DICOM files"):
        DicomFolder(tmp_path / "nowhere", LOADER, None, ("nodule",))
    (tmp_path / "hollow").mkdir()
    with pytest.raises(DataError, match="hollow: the folder is empty"):
        DicomFolder(tmp_path / "hollow", LOADER, None, ("nodule",))


@pytest.mark.parametrize(
    "text", ["", "[]", '{"images": []}', '{"images": [{"id": 1}], "annotations": [], "categories": []}', "\x00"]
)
def test_what_is_no_coco_file_is_refused(folder: Path, text: str) -> None:
    (folder / "truth.json").write_text(text)
    with pytest.raises(DataError, match=r"truth\.json"):
        open_folder(folder)


def test_an_annotation_of_no_image_and_a_missing_file_are_refused(folder: Path) -> None:
    record = json.loads((folder / "truth.json").read_text())
    record["annotations"][0]["image_id"] = 77
    (folder / "truth.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="annotation 1: image_id is none of the 3 images"):
        open_folder(folder)
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        open_folder(folder, truth="none.json")
