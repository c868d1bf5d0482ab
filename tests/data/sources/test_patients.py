import logging

import numpy as np
import pytest

from radvit.data.sources.patients import PatientNames
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError
from radvit.records import Geometry, Header, Image

KEY = Pseudonymizer(b"k" * 32)
IMAGE = Image(np.zeros((2, 2), np.float32), Geometry(2, 2), Header("P-1", "1", "2", "3", "OT"))


def test_the_group_is_the_patient_and_becomes_a_pseudonym():
    names = PatientNames("person([0-9]+)_")
    assert names.named(IMAGE, "train/PNEUMONIA/person12_virus_3.png", KEY).header.patient == KEY.patient("12")
    assert names.named(IMAGE, "train/NORMAL/IM-0115.png", KEY) is IMAGE
    assert PatientNames().named(IMAGE, "person12_virus_3.png", KEY) is IMAGE


def test_a_pattern_that_fits_no_file_is_refused_and_one_that_fits_some_is_told_of(caplog):
    caplog.set_level(logging.INFO, "radvit")
    paths = ["NORMAL/IM-0115.png", "PNEUMONIA/person12_3.png"]
    with pytest.raises(DataError, match=r"data\.patients=patient\(\.\) fits none of 2 files"):
        PatientNames("patient(.)").check(paths)
    PatientNames().check(paths)
    PatientNames("([0-9])").check(paths)
    assert not caplog.messages
    PatientNames("person([0-9]+)_").check(paths)
    assert caplog.messages == ["data.patients names the patient of 1 of 2 files; not of the others"]


@pytest.mark.parametrize(("pattern", "message"), [("person[", "no regular expression"), ("person", "no group")])
def test_a_pattern_without_a_patient_is_refused(pattern, message):
    with pytest.raises(DataError, match=message):
        PatientNames(pattern)
