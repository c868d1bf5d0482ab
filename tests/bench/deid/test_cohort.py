import hashlib
from collections import Counter

import numpy as np
import pytest
from pydicom import dcmread

from radvit.bench.deid.answer import KEY_FILE, Category, Check, read_key
from radvit.bench.deid.cohort import PLANTS, write_cohort
from radvit.bench.deid.kinds import KINDS
from radvit.bench.deid.people import date_forms, draw_subject, id_forms, name_forms, phone_forms


def digests(folder):
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.*")}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_cohort(tmp_path / name, 2, seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_all_kinds_checks_and_plants_occur(cohort):
    headers = [dcmread(cohort.folder / file, stop_before_pixels=True) for file in cohort.key.files]
    assert {header.Modality for header in headers} == {kind.modality for kind in KINDS}
    assert len({header.file_meta.TransferSyntaxUID for header in headers}) == 6
    assert {row.check for row in cohort.key.rows} == set(Check)
    assert {row.category for row in cohort.key.rows} == set(Category)
    kinds = {row.kind for row in cohort.key.rows}
    unnamed = {"nested", "word names"}  # one has a name for each depth, the other asks of some patients alone
    assert {plant.__name__.replace("_", " ") for plant in PLANTS} - kinds <= unnamed
    assert {f"depth {depth}" for depth in range(1, 6)} <= kinds


def test_patients_have_several_studies_and_studies_several_images(cohort):
    headers = [dcmread(cohort.folder / file, stop_before_pixels=True) for file in cohort.key.files]
    studies = Counter(patient for patient, _ in {(one.PatientID, one.StudyInstanceUID) for one in headers})
    assert max(studies.values()) > 1
    assert len({one.StudyInstanceUID for one in headers}) == 11
    assert len({one.SOPInstanceUID for one in headers}) == len(headers) > 11
    images = {one.SOPInstanceUID for one in headers}
    referenced = {item.ReferencedSOPInstanceUID for one in headers for item in one.get("SourceImageSequence", ())}
    assert referenced
    assert referenced <= images


def test_the_key_beside_the_files_is_the_one_that_is_returned(cohort):
    assert (cohort.folder.parent / KEY_FILE).is_file()
    assert read_key(cohort.folder.parent) == cohort.key


def test_what_is_burned_in_stands_in_its_box(cohort):
    rows = [row for row in cohort.key.rows if row.check is Check.PIXELS_HIDDEN]
    assert rows
    for row in rows:
        dataset = dcmread(cohort.folder / row.file)
        pixels = dataset.pixel_array[..., 0] if dataset.SamplesPerPixel == 3 else dataset.pixel_array
        left, top, right, bottom = row.box
        inked = pixels == (0 if dataset.PhotometricInterpretation == "MONOCHROME1" else pixels.max())
        assert inked[top:bottom, left:right].mean() > 0.02
        assert len(row.glyphs) == len(row.value.replace(" ", ""))


@pytest.mark.parametrize("number", range(8))
def test_a_patient_is_named_in_many_ways(number):
    subject = draw_subject(np.random.default_rng(number), number)
    for forms in (name_forms(subject), id_forms(subject), phone_forms(subject), date_forms(subject.birth)):
        assert len(set(forms)) >= 4
        assert all(form.strip() for form in forms)
    assert all(subject.is_named_in(form) for form in name_forms(subject)[:4])
    assert subject.plain_id.isdigit()
    assert subject.plain_id in subject.id
