import hashlib
import json
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from radvit.data.phantom import CohortSpec, write_cohort
from radvit.dicom.pixels import to_grey
from radvit.errors import DataError


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_bytes_for_any_number_of_workers(written, tmp_path):
    few = replace(written.spec, patients=4)
    write_cohort(tmp_path / "one", few, 1)
    write_cohort(tmp_path / "two", few, 2)
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    all_of_them = digests(written.folder)
    assert all(all_of_them[name] == digest for name, digest in one.items() if name.endswith(".dcm"))


def test_another_seed_gives_other_patients(tmp_path, written):
    spec = replace(written.spec, patients=1, seed=written.spec.seed + 1)
    write_cohort(tmp_path, spec, 1)
    ids = {json.loads((tmp_path / "identities.json").read_text())["patients"][0]["patient_id"]}
    assert ids.isdisjoint(person["patient_id"] for person in written.people)


def test_summary_counts_what_the_truth_holds(written):
    truth, summary = written.truth, written.summary
    assert (summary.images, summary.nodules) == (len(truth["images"]), len(truth["annotations"]))
    assert summary.lesions == len({annotation["lesion_id"] for annotation in truth["annotations"]})
    assert summary.positive_images == len({annotation["image_id"] for annotation in truth["annotations"]})
    assert summary.studies == len({dataset.StudyInstanceUID for dataset in written.datasets.values()})
    assert summary.patients == written.spec.patients == len(written.people)
    assert f"{summary.images} images" in summary.words()


def test_progress_rises_to_the_number_of_images(written):
    done, total = zip(*written.progress, strict=True)
    assert list(done) == sorted(done)
    assert set(total) == {written.summary.images} == {done[-1]}


def test_finished_cohort_is_left_alone(written):
    before = {path: path.stat().st_mtime_ns for path in written.folder.rglob("*")}
    assert write_cohort(written.folder, written.spec, 1) == written.summary
    assert {path: path.stat().st_mtime_ns for path in written.folder.rglob("*")} == before


def test_broken_off_cohort_is_written_anew(tmp_path):
    spec = CohortSpec(1, 0, size_px=(200, 280))
    write_cohort(tmp_path, spec, 1)
    whole = digests(tmp_path)
    (tmp_path / "cohort.json").rename(tmp_path / "cohort.started.json")
    (tmp_path / "truth.json").unlink()
    (tmp_path / "dicom" / "stray.dcm").write_bytes(b"half")
    write_cohort(tmp_path, spec, 1)
    assert digests(tmp_path) == whole


@pytest.mark.parametrize("name", ["thesis.docx", "dicom", "truth.json"])
def test_refuses_a_folder_that_is_no_phantom(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match="no phantom"):
        write_cohort(tmp_path, CohortSpec(1, 0), 1)
    assert (tmp_path / name).read_text() == "mine"


def test_refuses_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        write_cohort(tmp_path / "file", CohortSpec(1, 0), 1)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error(written):
    found = []
    for name in written.datasets:
        told = subprocess.run(["dciodvfy", written.folder / name], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).splitlines()
        assert any("CRImage" in line or "DXImageForPresentation" in line for line in lines)
        found += [f"{name}: {line}" for line in lines if line.startswith("Error")]
    assert found == []


def test_patients_have_studies_over_years(written):
    of_patient: dict[str, dict[str, str]] = {}
    images_of_study: Counter[str] = Counter()
    for dataset in written.datasets.values():
        of_patient.setdefault(dataset.PatientID, {})[dataset.StudyInstanceUID] = dataset.StudyDate
        images_of_study[dataset.StudyInstanceUID] += 1
    assert len(of_patient) == written.spec.patients
    assert all(1 <= len(studies) <= 4 for studies in of_patient.values())
    assert max(len(studies) for studies in of_patient.values()) > 1
    assert all(len(set(studies.values())) == len(studies) for studies in of_patient.values())
    assert set(images_of_study.values()) <= {1, 2}
    uids = [dataset.SOPInstanceUID for dataset in written.datasets.values()]
    assert len(set(uids)) == len(uids)


def test_files_differ_as_real_ones_do(written):
    sets = list(written.datasets.values())
    assert {dataset.Modality for dataset in sets} == {"CR", "DX"}
    assert {dataset.PhotometricInterpretation for dataset in sets} == {"MONOCHROME1", "MONOCHROME2"}
    assert len({dataset.file_meta.TransferSyntaxUID for dataset in sets}) == 4
    assert {np.size(dataset.get("WindowCenter", [])) for dataset in sets} >= {0, 1, 2}
    assert len({dataset.BitsStored for dataset in sets}) >= 3
    assert {"PixelSpacing" in dataset for dataset in sets} == {True, False}
    assert {"ImagerPixelSpacing" in dataset for dataset in sets} == {True, False}
    assert {float(dataset.get("RescaleSlope", 1)) for dataset in sets} > {1.0}
    assert {dataset.Rows == dataset.Columns for dataset in sets} == {True, False}


def test_stored_values_fit_and_use_the_bits(written):
    for dataset in written.datasets.values():
        stored = pydicom.pixels.pixel_array(dataset)
        assert stored.max() < 1 << dataset.BitsStored
        assert stored.max() - stored.min() > 0.6 * (1 << dataset.BitsStored)


def test_windowed_pictures_are_bright_where_bone_is(written):
    for dataset in written.datasets.values():
        pixels, _ = to_grey(dataset)[0]
        rows, columns = pixels.shape
        spine = pixels[rows // 3 : rows // 2, int(0.47 * columns) : int(0.53 * columns)].mean()
        lungs = pixels[rows // 3 : rows // 2, int(0.25 * columns) : int(0.38 * columns)].mean()
        assert spine > lungs + 0.2


def test_sizes_show_a_whole_chest():
    from radvit.data.phantom.coding import draw_frame

    for spec in (CohortSpec(1, 0), CohortSpec.preset(1, 0, small=True)):
        for seed in range(50):
            frame = draw_frame(np.random.default_rng(seed), spec)
            low, high = spec.size_px
            assert low <= min(frame.rows, frame.columns) <= max(frame.rows, frame.columns) <= high
            assert 300 <= frame.rows * frame.pitch_mm <= 435
            assert 300 <= frame.columns * frame.pitch_mm <= 435
            assert 0.138 <= frame.pitch_mm <= (0.2 if spec.size_px[1] > 2000 else 0.4)
