from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.truth import TruthFiles
from radvit.data.sources.yolo import read_yolo
from radvit.errors import DataError

WriteLines = Callable[..., Path]
LABELS = ("nodule", "mass")


def open_yolo(folder: Path, loader: Loader, labels: tuple[str, ...] = LABELS) -> DicomFolder:
    return DicomFolder(folder / "images", loader, TruthFiles(folder / "labels"), labels, read_yolo)


@pytest.fixture
def folder(tmp_path: Path, write_picture: Callable[..., Path], write_lines: WriteLines) -> Path:
    for number, name in enumerate(("train/a", "train/b", "val/c", "test/d")):  # 24 rows, 32 columns
        write_picture(tmp_path / "images" / f"{name}.png", number)
    write_lines(tmp_path / "labels" / "train" / "a.txt", ["0 0.5 0.25 0.25 0.5", "1 0.25 0.75 0.0625 0.25"])
    write_lines(tmp_path / "labels" / "train" / "b.txt", [])
    write_lines(tmp_path / "labels" / "val" / "c.txt", ["1 0.5 0.5 0.125 0.25"])
    return tmp_path


def test_shares_of_the_image_become_pixels(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort], boxes_of: Callable[[Sample], object]
) -> None:
    cohort = cohort_of(open_yolo(folder, loader))
    a, b, c = cohort.samples
    assert boxes_of(a) == [(0, (12.0, 0.0, 20.0, 12.0)), (1, (7.0, 15.0, 9.0, 21.0))]
    assert a.targets == (1.0, 1.0)
    assert (b.targets, boxes_of(b)) == ((0.0, 0.0), [])  # an empty file is a negative
    assert (c.targets, boxes_of(c)) == ((0.0, 1.0), [(1, (14.0, 9.0, 18.0, 15.0))])
    assert cohort.failed == 1  # d has no file, and is unknown
    assert cohort.official == {"train": (0, 1), "val": (2,), "test": ()}


def test_outlines_are_masks(folder: Path, loader: Loader, write_lines: WriteLines) -> None:
    write_lines(folder / "labels" / "train" / "a.txt", ["1 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5"])
    write_lines(folder / "labels" / "val" / "c.txt", [])
    source = open_yolo(folder, loader)
    a, b = (next(x for i, f in enumerate(source.files) if f.stem == n for x in source.read(i)) for n in "ab")
    expected = np.zeros((24, 32), np.uint8)
    expected[6:12, 8:24] = 2
    np.testing.assert_array_equal(a.mask, expected)
    assert [(lesion.label, lesion.box_px) for lesion in a.lesions] == [(1, (8.0, 6.0, 24.0, 12.0))]
    assert b.mask is not None
    assert not b.mask.any()


def test_classes_are_named_by_a_file_where_there_is_one(folder: Path, loader: Loader, write_lines: WriteLines) -> None:
    write_lines(folder / "labels" / "classes.txt", ["rib", "nodule"])
    source = open_yolo(folder, loader, ("nodule",))
    first = next(i for i, file in enumerate(source.files) if file.stem == "a")
    assert [lesion.box_px for lesion in source.read(first)[0].lesions] == [(7.0, 15.0, 9.0, 21.0)]
    with pytest.raises(DataError, match=r"classes\.txt: no category mass; it has rib, nodule"):
        open_yolo(folder, loader)


@pytest.mark.parametrize("names", ["[rib, nodule]", "{0: rib, 1: nodule}"])
def test_classes_are_named_by_the_set_up_of_ultralytics(
    folder: Path, loader: Loader, write_lines: WriteLines, names: str
) -> None:
    before = open_yolo(folder, loader).fingerprint()
    write_lines(folder / "data.yaml", ["train: images/train", f"names: {names}"])
    source = open_yolo(folder, loader, ("nodule",))
    first = next(i for i, file in enumerate(source.files) if file.stem == "a")
    assert [lesion.box_px for lesion in source.read(first)[0].lesions] == [(7.0, 15.0, 9.0, 21.0)]
    write_lines(folder / "data.yaml", ["names: {0: nodule, 1: mass}"])
    assert open_yolo(folder, loader).fingerprint() != before
    for line, why in (("nc: 2", "KeyError"), ("names: [", "ValueError"), ("2", "TypeError")):
        write_lines(folder / "data.yaml", [line])
        with pytest.raises(
            DataError, match=rf"data\.yaml: can't be read as truth \({why}\); expected names of classes"
        ):
            open_yolo(folder, loader)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", r"a\.txt: line 1: class 2 of 2; expected data\.labels or classes\.txt"),
        ("0 12 9 4 4", "line 1: a coordinate outside the image; expected shares from 0 to 1"),
        ("0 0.1 0.2 0.3", "line 1: 3 numbers behind the class"),
        ("0 0.1 0.2 0.3 0.4 0.5", "line 1: 5 numbers behind the class"),
        ("nodule 0.1 0.2 0.3 0.4", r"a\.txt: can't be read as truth \(ValueError\)"),
        ("0 nan 0.2 0.3 0.4", "outside the image"),
    ],
)
def test_broken_lines_are_named(folder: Path, loader: Loader, write_lines: WriteLines, line: str, message: str) -> None:
    write_lines(folder / "labels" / "train" / "a.txt", [line])
    with pytest.raises(DataError, match=message):
        open_yolo(folder, loader)


def test_a_folder_without_text_files_is_refused(tmp_path: Path, loader: Loader, folder: Path) -> None:
    for where, message in (("nowhere", "no such folder"), ("images", "no text files")):
        with pytest.raises(DataError, match=f"{where}: {message}"):
            read_yolo(TruthFiles(tmp_path / where), LABELS, loader.pseudonymizer)
