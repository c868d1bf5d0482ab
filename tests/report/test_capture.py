from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from radvit.errors import DataError, GeometryError
from radvit.report.capture import to_capture
from radvit.report.overlay import draw
from radvit.report.words_zh import CHINESE

HOSTILE = (
    "<script>alert(1)</script>",
    "X" * 65536,
    "\u202eTSEHC",
    "CHEST\\HAND",
    "CHEST\r\nX",
    "\x00\x1b",
    "\ud800",
    "",
)


def read(data):
    return dcmread(BytesIO(data))


def canvas(rows=33, columns=21):
    """(rows, columns, 3) uint8 that no two pixels or channels share."""
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), np.uint8)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dciodvfy_finds_no_error(make, validated, language):
    for name, report in make.dicom_cases().items():
        for image in report.images:
            of_image = [entry for entry in report.findings if entry.image == image.number]
            drawn = draw(np.full((400, 300), 90, np.uint8), image.geometry, of_image).bgr()
            assert (name, validated(to_capture(report, image.number, drawn, language))) == (name, [])


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (33, 21), (32, 20)])
def test_the_pixels_are_those_of_the_canvas(make, validated, rows, columns):
    given = canvas(rows, columns)
    before = given.copy()
    data = to_capture(make.report([]), 1, given)
    assert (read(data).pixel_array == given[..., ::-1]).all()
    assert len(read(data).PixelData) % 2 == 0
    assert validated(data) == []
    assert (given == before).all()


def test_it_says_what_it_was_made_of(make):
    cases = make.dicom_cases()
    dataset = read(to_capture(cases["images"], 2, canvas()))
    assert [i.ReferencedSOPInstanceUID for i in dataset.SourceImageSequence] == ["2.25.13"]
    assert list(dataset.ImageType) == ["DERIVED", "SECONDARY"]
    assert "2" in dataset.DerivationDescription
    assert (dataset.ConversionType, dataset.BurnedInAnnotation, dataset.Modality) == ("WSD", "NO", "OT")
    assert list(dataset.PatientOrientation) == ["L", "F"]
    assert not {"PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"} & set(dataset.dir())
    framed = read(to_capture(cases["frames"], 2, canvas()))
    assert framed.SourceImageSequence[0].ReferencedFrameNumber == 2
    assert read(to_capture(cases["one"], 1, canvas(), "zh")).ImageComments == CHINESE["research"]


def test_images_of_one_report_are_objects_of_one_series(make):
    report = make.dicom_cases()["images"]
    made = [read(to_capture(report, number, canvas())) for number in (1, 2, 3)]
    assert len({dataset.SOPInstanceUID for dataset in made}) == 3
    assert len({dataset.SeriesInstanceUID for dataset in made}) == 1
    assert to_capture(report, 1, canvas()) == to_capture(report, 1, canvas())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_leaves_a_valid_file(make, validated, text):
    report = make.with_headers(
        make.report([make.finding(0.9)]), {"body_part": text, "patient_orientation": (text, "F")}
    )
    data = to_capture(replace(report, patient=text, sex=text, age=text, study_date=text), 1, canvas())
    assert validated(data) == []
    assert "BodyPartExamined" not in read(data)
    assert not read(data).PatientOrientation


def test_what_does_not_fit_is_refused(make):
    report = make.report([])
    for number in (0, 2):
        with pytest.raises(DataError, match=rf"image {number}; expected a number from 1 to 1"):
            to_capture(report, number, canvas())
    for wrong in (canvas()[..., 0], canvas()[..., :2], canvas().astype(float), canvas()[:0], canvas()[:, :0]):
        with pytest.raises(GeometryError, match="expected uint8"):
            to_capture(report, 1, wrong)
