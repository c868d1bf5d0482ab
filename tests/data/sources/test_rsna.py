from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.rsna import read_rsna
from radvit.data.sources.truth import TruthFiles
from radvit.errors import DataError

HEADER = "patientId,x,y,width,height,Target"
NEGATIVE, POSITIVE, UNLISTED = "0004cfab-14fd", "00436515-870c", "99999999-dead"


def test_boxes_negatives_and_what_is_not_listed(
    tmp_path: Path,
    loader: Loader,
    write_radiograph: Callable[..., str],
    write_lines: Callable[..., Path],
    cohort_of: Callable[[Source], Cohort],
    boxes_of: Callable[[Sample], object],
) -> None:
    for number, name in enumerate((NEGATIVE, POSITIVE, UNLISTED)):
        write_radiograph(tmp_path / "in" / f"{name}.dcm", number, patient=number)
    rows = [f"{NEGATIVE},,,,,0", f"{POSITIVE},4.0,12.0,20.0,30.0,1", f"{POSITIVE},36.0,12.5,10.0,8.0,1"]
    truth = write_lines(tmp_path / "stage_2_train_labels.csv", [HEADER, *rows])
    cohort = cohort_of(DicomFolder(tmp_path / "in", loader, TruthFiles(truth), ("pneumonia",), read_rsna))
    assert (len(cohort), cohort.failed) == (2, 1)
    negative, positive = cohort.samples
    assert (negative.targets, boxes_of(negative)) == ((0.0,), [])
    assert positive.targets == (1.0,)
    assert boxes_of(positive) == [(0, (4.0, 12.0, 24.0, 42.0)), (0, (36.0, 12.5, 46.0, 20.5))]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["patientId,x,y,width,height", "a,1,2,3,4"],
            "no column Target; expected a CSV file with the columns patientId",
        ),
        ([HEADER, "a,1,2,3,4,2"], r"line 2: Target is neither 0 nor 1"),
        ([HEADER, "a,,,,,0", "a,1,2,x,4,1"], r"line 3: width is no number"),
        ([HEADER, "a,1,2,0,4,1"], r"line 2: a box without an area"),
        ([HEADER, ",1,2,3,4,1"], r"line 2: patientId is empty"),
        ([], "no column patientId"),
    ],
)
def test_broken_rows_are_named_by_their_line(
    tmp_path: Path, loader: Loader, write_lines: Callable[..., Path], lines: list[str], message: str
) -> None:
    files = TruthFiles(write_lines(tmp_path / "t.csv", lines))
    with pytest.raises(DataError, match=message):
        read_rsna(files, ("pneumonia",), loader.pseudonymizer)


def test_one_class_has_one_name(tmp_path: Path, loader: Loader, write_lines: Callable[..., Path]) -> None:
    files = TruthFiles(write_lines(tmp_path / "t.csv", [HEADER]))
    with pytest.raises(DataError, match=r"one name in data\.labels, found 2"):
        read_rsna(files, ("a", "b"), loader.pseudonymizer)
    with pytest.raises(DataError, match=r"none\.csv: no such file; expected a CSV"):
        read_rsna(TruthFiles(tmp_path / "none.csv"), ("a",), loader.pseudonymizer)
