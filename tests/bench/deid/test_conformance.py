import shutil
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from radvit.bench.deid.conformance import VALIDATOR, _errors, conformance

needs_validator = pytest.mark.skipif(shutil.which(VALIDATOR) is None, reason="dciodvfy is not installed")


def test_errors_that_differ_in_a_quoted_value_alone_are_one():
    names = [
        f"Error - </BodyPartExamined(0018,0015)[1]> - Value invalid for this VR [CS] = <{name}> - Character invalid "
        f"for this VR = '{letter}' (0x6{code})"
        for name, letter, code in (("Roe > 1", "o", "f"), ("Doe", "e", "5"))
    ]
    assert len(_errors(names)) == 1
    missing = ["Error - </A(0008,0001)> - Missing - Module=<X>", "Error - </A(0008,0001)> - Missing - Module=<Y>"]
    assert len(_errors([*missing, "Warning - </A(0008,0001)> - odd"])) == 2


@needs_validator
def test_an_error_counts_where_the_input_did_not_have_it(cohort, tmp_path):
    file = cohort.key.files[0]
    copy = tmp_path / "out.dcm"
    dataset = dcmread(cohort.folder / file)
    dataset.save_as(copy)
    good = conformance(cohort.folder, tmp_path, {file: Path("out.dcm"), "gone": Path("gone.dcm")})
    assert good is not None
    assert (good.files, good.broken) == (1, ())
    del dataset.Rows
    dataset.save_as(copy)
    bad = conformance(cohort.folder, tmp_path, {file: Path("out.dcm")})
    assert bad is not None
    assert any("Rows" in error for _, error in bad.broken)


@needs_validator
def test_a_deflated_input_is_validated_by_what_it_holds(cohort, tmp_path):
    deflated = next(
        file
        for file in cohort.key.files
        if dcmread(cohort.folder / file).file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    )
    shutil.copy(cohort.folder / deflated, tmp_path / "same.dcm")
    same = conformance(cohort.folder, tmp_path, {deflated: Path("same.dcm")})
    assert same is not None
    assert same.broken == ()


def test_without_the_validator_nothing_is_checked(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert conformance(cohort.folder, cohort.folder, {}) is None
