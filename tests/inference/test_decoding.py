from pathlib import Path

import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.preprocess import Placement, Preprocess
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError, DeidError, DicomReadError
from radvit.inference.decoding import (
    DecodedFile,
    DecodedImage,
    DecodedStudy,
    FileDecoder,
    StudyFiles,
    describe,
    gather,
    in_order,
    shown,
)
from radvit.pool import Died
from radvit.records import Geometry, Header


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
        (MemoryError("Doe, John"), "memory: needed more memory than a worker process may have"),
    ],
)
def test_describe_never_names_the_file(error, text):
    assert describe(error, Path("/in/Doe^John.dcm")) == text


def test_a_bad_file_costs_only_itself(tmp_path, dicom_file):
    good = dicom_file(tmp_path / "good.dcm", study=1)
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"not a DICOM file")
    decoder = FileDecoder(Loader(Pseudonymizer(bytes(32))), Preprocess(32))
    (study,) = gather([StudyFiles("2.25.1", (bad, good))], ((path, decoder(path)) for path in (bad, good)))
    (image,) = study.images
    assert image.model_input.shape == (32, 32)
    assert image.picture.shape == (64, 64)
    ((path, why),) = study.errors
    assert path == bad
    assert why.startswith("not-dicom: ")
    assert study.seconds > 0


def test_a_study_is_put_in_the_order_of_the_body(caplog):
    def slice_at(height, series="2.25.1", number=None):
        geometry = Geometry(2, 2, (1.0, 1.0), position_mm=(0.0, 0.0, height), axes=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
        header = Header("P-A", "2.25.9", series, "2.25.8", "CT", instance_number=number)
        blank = np.zeros((2, 2))
        return DecodedImage(header, geometry, blank.astype(np.float16), Placement(1, 0, 0), blank.astype(np.uint8))

    images = (slice_at(8.0), slice_at(5.0, "2.25.2"), slice_at(0.0), slice_at(2.0), slice_at(2.0), slice_at(4.0))
    with caplog.at_level("WARNING"):
        ordered = in_order(DecodedStudy("2.25.9", images, (), 0.0))
    assert [(x.header.series, x.geometry.position_mm[2]) for x in ordered.images] == [
        *(("2.25.1", z) for z in (0.0, 2.0, 2.0, 4.0, 8.0)),
        ("2.25.2", 5.0),
    ]
    assert "series 2.25.1: 1 slices missing, 1 repeated" in caplog.text
    assert in_order(DecodedStudy("2.25.9", (), (), 0.0)).images == ()


def test_files_are_gathered_into_their_studies():
    studies = [StudyFiles(name, tuple(map(Path, files))) for name, files in [("a", "12"), ("b", "3"), ("c", "456")]]
    results = {
        "1": DecodedFile((1,), None, 1.0),
        "2": Died("timeout"),
        "3": Died("crashed"),
        "4": DecodedFile((4, 5), None, 2.0),
        "5": DecodedFile((), "truncated: short", 0.5),
        "6": DecodedFile((6,), None, 0.25),
    }
    a, b, c = gather(studies, ((Path(name), result) for name, result in results.items()))
    assert (a.study, a.images, a.seconds) == ("a", (1,), 1.0)
    assert a.errors == ((Path("2"), "timeout: took longer than a worker process may"),)
    assert (b.images, b.errors) == ((), ((Path("3"), "crashed: ended the worker process that read it"),))
    assert (c.images, c.errors, c.seconds) == ((4, 5, 6), ((Path("5"), "truncated: short"),), 2.75)
    assert list(gather([], iter(()))) == []


def test_a_study_is_given_as_soon_as_its_last_file_is_there():
    def outcomes():
        yield Path("1"), Died("memory")
        raise AssertionError("the next study's file was asked for")

    studies = [StudyFiles("a", (Path("1"),)), StudyFiles("b", (Path("2"),))]
    assert next(gather(studies, outcomes())).study == "a"
