from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.truth import Truth, TruthFiles
from radvit.data.sources.vindr import read_vindr
from radvit.errors import DataError

HEADER = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
LABELS = ("Cardiomegaly", "Nodule/Mass")
# image "one": two of three readers agree on a heart, one alone sees a nodule; "two": nobody sees anything
ROWS = [
    "one,Cardiomegaly,3,R8,10,40,30,60",
    "one,Cardiomegaly,3,R9,12,42,32,62",
    "one,No finding,14,R10,,,,",
    "one,Nodule/Mass,8,R9,4,4,9,9",
    "one,Aortic enlargement,0,R8,20,20,30,30",
    "two,No finding,14,R8,,,,",
    "two,No finding,14,R9,,,,",
    "two,No finding,14,R10,,,,",
]

WriteLines = Callable[..., Path]


@pytest.mark.parametrize(
    ("agreement", "targets", "boxes"),
    [
        (1, (1.0, 1.0), [(0, (11.0, 41.0, 31.0, 61.0)), (1, (4.0, 4.0, 9.0, 9.0))]),
        (2, (1.0, 0.0), [(0, (11.0, 41.0, 31.0, 61.0))]),
        (3, (0.0, 0.0), []),
    ],
)
def test_as_many_readers_as_asked_for_must_agree(
    tmp_path: Path,
    loader: Loader,
    write_radiograph: Callable[..., str],
    write_lines: WriteLines,
    cohort_of: Callable[[Source], Cohort],
    boxes_of: Callable[[Sample], object],
    agreement: int,
    targets: tuple[float, ...],
    boxes: object,
) -> None:
    for number, name in enumerate(("one", "two")):
        write_radiograph(tmp_path / "in" / f"{name}.dicom", number)
    truth = TruthFiles(write_lines(tmp_path / "train.csv", [HEADER, *ROWS]), agreement=agreement)
    one, two = cohort_of(DicomFolder(tmp_path / "in", loader, truth, LABELS, read_vindr)).samples
    assert (one.targets, boxes_of(one)) == (targets, boxes)
    assert (two.targets, boxes_of(two)) == ((0.0, 0.0), [])


def read(path: Path, loader: Loader, labels: tuple[str, ...] = LABELS, agreement: int = 1) -> Truth:
    return read_vindr(TruthFiles(path, agreement=agreement), labels, loader.pseudonymizer)


def test_boxes_of_one_reader_and_boxes_apart_are_lesions_of_their_own(
    tmp_path: Path, loader: Loader, write_lines: WriteLines
) -> None:
    rows = ["one,Nodule/Mass,8,R8,0,0,10,10", "one,Nodule/Mass,8,R8,1,1,11,11", "one,Nodule/Mass,8,R9,40,40,50,50"]
    truth = read(write_lines(tmp_path / "t.csv", [HEADER, *rows]), loader, ("Nodule/Mass",))
    assert [mark.box for mark in truth.images["one", 0].marks] == [(0, 0, 10, 10), (1, 1, 11, 11), (40, 40, 50, 50)]


def test_a_consensus_without_readers_counts_as_it_is(tmp_path: Path, loader: Loader, write_lines: WriteLines) -> None:
    header = "image_id,class_name,x_min,y_min,x_max,y_max"
    lines = [header, "one,Nodule/Mass,0,0,10,10", "two,No finding,,,,"]
    truth = read(write_lines(tmp_path / "annotations_test.csv", lines), loader, ("Nodule/Mass",), agreement=2)
    assert [len(truth.images[name, 0].marks) for name in ("one", "two")] == [1, 0]


def test_a_label_that_no_row_has_is_refused(tmp_path: Path, loader: Loader, write_lines: WriteLines) -> None:
    path = write_lines(tmp_path / "t.csv", [HEADER, *ROWS])
    with pytest.raises(DataError, match="no category Nodule; it has Cardiomegaly, Nodule/Mass, Aortic enlargement"):
        read(path, loader, ("Nodule",))
    with pytest.raises(DataError, match="line 2: a box without an area"):
        read(write_lines(tmp_path / "t.csv", [HEADER, "one,Nodule/Mass,8,R8,9,0,9,10"]), loader, ("Nodule/Mass",))
