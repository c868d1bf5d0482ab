from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.nih import FINDINGS, read_nih
from radvit.data.sources.truth import TruthFiles
from radvit.deid.options import Option
from radvit.errors import DataError

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
ROWS = [
    "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,",
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,058Y,M,PA,2894,2729,0.143,0.143,",
    "00000002_000.png,No Finding,0,2,081Y,F,AP,2500,2048,0.171,0.171,",
    "00000003_000.png,Infiltration,0,3,414Y,F,PA,2500,2048,0.171,0.171,",
]
BOXES = [
    "Image Index,Finding Label,Bbox [x,y,w,h],,,",
    "00000001_000.png,Cardiomegaly,3.5,4,10,12.25,,,",
    "00000003_000.png,Infiltrate,1,2,3,4,,,",
]
LABELS = ("Cardiomegaly", "Infiltration")


@pytest.fixture
def folder(tmp_path: Path, write_picture: Callable[..., Path], write_lines: Callable[..., Path]) -> Path:
    for number, row in enumerate(ROWS):
        write_picture(tmp_path / "images" / f"images_{number % 2 + 1:03d}" / "images" / row.split(",")[0], number)
    write_lines(tmp_path / "Data_Entry_2017.csv", [HEADER, *ROWS])
    write_lines(tmp_path / "BBox_List_2017.csv", BOXES)
    return tmp_path


def open_nih(folder: Path, loader: Loader, boxes: bool = False, labels: tuple[str, ...] = LABELS) -> DicomFolder:
    truth = TruthFiles(folder / "Data_Entry_2017.csv", folder / "BBox_List_2017.csv" if boxes else None)
    return DicomFolder(folder / "images", loader, truth, labels, read_nih)


def by_patient(cohort: Cohort, loader: Loader, patient: int) -> list[Sample]:
    return [s for s in cohort.samples if s.header.patient == loader.pseudonymizer.patient(str(patient))]


def test_findings_patients_and_views(folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort]) -> None:
    cohort = cohort_of(open_nih(folder, loader))
    assert len(cohort) == 4
    assert [s.targets for s in by_patient(cohort, loader, 1)] == [(1.0, 0.0), (1.0, 0.0)]
    [healthy] = by_patient(cohort, loader, 2)
    [typing_error] = by_patient(cohort, loader, 3)
    assert healthy.targets == (0.0, 0.0)
    assert (healthy.header.view, healthy.header.sex, healthy.header.age) == ("AP", "F", "081Y")
    assert (typing_error.targets, typing_error.header.age) == ((0.0, 1.0), None)


def test_sex_and_age_go_where_the_profile_has_them_removed(folder: Path, loader: Loader) -> None:
    strict = replace(loader, options=loader.options - {Option.PATIENT_CHARACTERISTICS})
    header = open_nih(folder, strict).read(0)[0].image.header
    assert (header.view, header.sex, header.age) == ("PA", None, None)


def test_with_boxes_an_image_whose_finding_nobody_boxed_is_left_out(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort], boxes_of: Callable[[Sample], object]
) -> None:
    cohort = cohort_of(open_nih(folder, loader, boxes=True))
    assert (len(cohort), cohort.failed) == (3, 1)
    [boxed] = by_patient(cohort, loader, 1)
    [infiltrate] = by_patient(cohort, loader, 3)
    assert boxes_of(boxed) == [(0, (3.5, 4.0, 13.5, 16.25))]
    assert boxes_of(infiltrate) == [(1, (1.0, 2.0, 4.0, 6.0))]
    assert boxes_of(*by_patient(cohort, loader, 2)) == []


def test_the_official_lists_are_the_split(
    folder: Path, loader: Loader, write_lines: Callable[..., Path], cohort_of: Callable[[Source], Cohort]
) -> None:
    assert open_nih(folder, loader).official is None
    write_lines(folder / "train_val_list.txt", ["00000001_000.png", "00000001_001.png", "00000002_000.png"])
    write_lines(folder / "test_list.txt", ["00000003_000.png"])
    cohort = cohort_of(open_nih(folder, loader))
    assert cohort.official is not None
    assert {name: len(members) for name, members in cohort.official.items()} == {"train": 3, "val": 0, "test": 1}
    [test] = cohort.official["test"]
    assert cohort.samples[test].targets == (0.0, 1.0)


def test_a_changed_list_makes_another_cache(folder: Path, loader: Loader, write_lines: Callable[..., Path]) -> None:
    before = open_nih(folder, loader).fingerprint()
    write_lines(folder / "test_list.txt", ["00000003_000.png"])
    assert open_nih(folder, loader).fingerprint() != before


def test_labels_and_findings_are_those_of_the_data_set(
    folder: Path, loader: Loader, write_lines: Callable[..., Path]
) -> None:
    assert len(FINDINGS) == 14
    with pytest.raises(DataError, match=r"no category Edema\?; it has Atelectasis, "):
        open_nih(folder, loader, labels=("Edema?",))
    write_lines(folder / "Data_Entry_2017.csv", [HEADER, ROWS[0].replace("Cardiomegaly", "Big heart")])
    with pytest.raises(DataError, match=r"line 2: a finding that isn't one of ChestX-ray14's 14"):
        open_nih(folder, loader)
    write_lines(folder / "BBox_List_2017.csv", [BOXES[0], "00000001_000.png,Cardiomegaly,x"])
    with pytest.raises(DataError, match=r"BBox_List_2017\.csv: can't be read as truth"):
        open_nih(folder, loader, boxes=True)
