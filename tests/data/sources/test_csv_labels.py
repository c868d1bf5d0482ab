from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort
from radvit.data.sources.base import Source
from radvit.data.sources.csv_labels import read_csv_labels
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.truth import Columns, TruthFiles
from radvit.errors import DataError

LABELS = ("effusion", "edema")
COLUMNS = Columns("Path", "subject", "fold")
HEADER = "subject,Path,fold,edema,effusion,note"


def open_csv(folder: Path, loader: Loader) -> DicomFolder:
    truth = TruthFiles(folder / "labels.csv", columns=COLUMNS)
    return DicomFolder(folder / "in", loader, truth, LABELS, read_csv_labels)


@pytest.fixture
def folder(
    tmp_path: Path,
    write_picture: Callable[..., Path],
    write_radiograph: Callable[..., str],
    write_lines: Callable[..., Path],
) -> Path:
    for number, name in enumerate(("p1/view1.png", "p1/view2.png", "p2/view1.png", "p3/other.png")):
        write_picture(tmp_path / "in" / name, number)
    uid = write_radiograph(tmp_path / "in" / "z.dcm", 7, patient=7)
    rows = [
        "ROE^JANE,p1/view1.png,train,0,1,seen",
        "ROE^JANE,view2,train,0.0,0,",
        'DOE^JOHN,p2/view1.png,valid,1,1,"a, b"',
        f",{uid},test,1,0,",
    ]
    write_lines(tmp_path / "labels.csv", [HEADER, *rows])
    return tmp_path


def test_labels_patients_and_split_by_path_stem_or_uid(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort]
) -> None:
    cohort = cohort_of(open_csv(folder, loader))
    assert [sample.targets for sample in cohort.samples] == [(1, 0), (0, 0), (1, 1), (0, 1)]
    roe, doe = (loader.pseudonymizer.patient(name) for name in ("ROE^JANE", "DOE^JOHN"))
    patients = [sample.header.patient for sample in cohort.samples]
    assert patients[:3] == [roe, roe, doe]
    assert patients[3] == loader.load(folder / "in" / "z.dcm")[0].header.patient  # as the file says
    assert cohort.official == {"train": (0, 1), "val": (2,), "test": (3,)}
    assert cohort.failed == 1  # p3/other.png is not listed


def test_nothing_of_the_file_reaches_the_cache(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort]
) -> None:
    cohort_of(open_csv(folder, loader))
    written = b"".join(path.read_bytes() for path in (folder / "cache").rglob("*") if path.is_file())
    assert b"P-" in written
    for secret in (b"ROE", b"DOE", b"view2", b"1.2.826.0.1"):
        assert secret not in written


def test_a_name_that_several_files_have_is_refused(
    folder: Path, loader: Loader, write_lines: Callable[..., Path]
) -> None:
    write_lines(folder / "labels.csv", [HEADER, "a,view1,train,0,1,"])
    with pytest.raises(DataError, match="1 images of the truth have the name of several files"):
        open_csv(folder, loader)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b,train,,1,", r"line 2: edema is neither 0 nor 1"),
        ("a,b,train,-1,1,", r"line 2: edema is neither 0 nor 1"),
        ("a,b,later,0,1,", r"line 2: fold names no split; expected train, val or test"),
        ("a,,train,0,1,", r"line 2: Path is empty"),
        ("a,b,train,0,1,\na,b,train,0,1,", r"line 3: an image that stands in an earlier line too"),
    ],
)
def test_broken_rows_are_named_by_their_line(
    folder: Path, loader: Loader, write_lines: Callable[..., Path], row: str, message: str
) -> None:
    write_lines(folder / "labels.csv", [HEADER, *row.split("\n")])
    with pytest.raises(DataError, match=message):
        open_csv(folder, loader)


def test_missing_columns_are_named(folder: Path, loader: Loader, write_lines: Callable[..., Path]) -> None:
    write_lines(folder / "labels.csv", ["subject,Path,edema", "a,b,1"])
    with pytest.raises(DataError, match="no column fold, effusion; expected a CSV file with the columns Path, subject"):
        open_csv(folder, loader)
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"labels\.csv: can't be read as truth"):
        open_csv(folder, loader)
