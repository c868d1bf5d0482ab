from pathlib import Path

import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError, DeidError, DicomReadError
from radvit.inference.decoding import StudyDecoder, StudyFiles, describe, shown


@pytest.mark.parametrize("shape", [(2140, 1760), (1760, 2140), (1025, 1024), (3000, 10), (64, 64), (1, 1)])
def test_shown_keeps_the_aspect_and_the_limit(shape):
    picture = shown(np.full(shape, 0.5, np.float32))
    assert picture.dtype == np.uint8
    assert max(picture.shape) == min(1024, max(shape))
    assert picture.shape[0] == max(1, round(shape[0] * min(1, 1024 / max(shape))))
    assert set(np.unique(picture)) <= {127, 128}


def test_shown_keeps_a_mark_in_its_place():
    pixels = np.zeros((2048, 3000), np.float32)
    pixels[1000:1200, 2000:2200] = 1
    rows, columns = np.nonzero(shown(pixels) > 127)
    scale = 3000 / 1024
    assert np.array([rows.min(), rows.max() + 1]) * scale == pytest.approx([1000, 1200], abs=4)
    assert np.array([columns.min(), columns.max() + 1]) * scale == pytest.approx([2000, 2200], abs=4)


def test_shown_leaves_its_input():
    pixels = np.random.default_rng(0).random((1500, 1200), np.float32)
    before = pixels.copy()
    shown(pixels)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DicomReadError("no-pixels", "/in/Doe^John.dcm has none"), "no-pixels: the file has none"),
        (DeidError("Doe^John.dcm: odd"), "deid: the file: odd"),
        (DataError("wrong"), "data: wrong"),
        (ValueError("Doe, John"), "error: ValueError"),  # its words are not ours
    ],
)
def test_describe_never_names_the_file(error, text):
    assert describe(error, Path("/in/Doe^John.dcm")) == text


def test_a_bad_file_costs_only_itself(tmp_path, dicom_file):
    good = dicom_file(tmp_path / "good.dcm", study=1)
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"not a DICOM file")
    decoder = StudyDecoder(Loader(Pseudonymizer(bytes(32))), Preprocess(32))
    study = decoder(StudyFiles("2.25.1", (bad, good)))
    (image,) = study.images
    assert image.model_input.shape == (32, 32)
    assert image.picture.shape == (64, 64)
    ((path, why),) = study.errors
    assert path == bad
    assert why.startswith("not-dicom: ")
