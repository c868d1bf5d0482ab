import cv2
import numpy as np
import pytest

from radvit.records import Geometry
from radvit.report.build import Band
from radvit.report.overlay import BGR, draw, jpeg, png

GEOMETRY = Geometry(1600, 1200)


def grey(rows=800, columns=600):
    return np.full((rows, columns), 100, np.uint8)


def coloured(canvas, band):
    """(rows, columns) bool: pixels in the colour of a band."""
    return (canvas == np.array(BGR[band], np.uint8)).all(2)


@pytest.mark.parametrize(("score", "band"), [(0.9, Band.HIGH), (0.6, Band.MODERATE), (0.4, Band.LOW)])
def test_a_box_lies_where_the_finding_lies_in_the_colour_of_its_band(make, score, band):
    report = make.report([make.finding(score, box=(400.0, 600.0, 800.0, 1000.0))])
    marked = coloured(draw(grey(), GEOMETRY, report.findings), band)
    rows, columns = np.nonzero(marked)
    assert (columns.min(), columns.max()) == (pytest.approx(200, abs=3), pytest.approx(400, abs=3))
    assert rows.max() == pytest.approx(500, abs=3)
    assert marked[498:503, 250].any()
    assert not marked[310:490, 210:390].any()  # what lies within stays to be seen


def test_without_findings_the_picture_is_untouched():
    canvas = draw(grey(), GEOMETRY, ())
    assert canvas.shape == (800, 600, 3)
    assert (canvas == 100).all()


def test_the_input_is_untouched(make):
    picture = grey()
    draw(picture, GEOMETRY, make.report([make.finding(0.9)]).findings)
    assert (picture == 100).all()


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (1180, 0, 1200, 20), (1180, 1580, 1200, 1600), (0, 0, 1200, 1600)])
def test_a_tag_stays_within_the_picture(make, box):
    canvas = draw(grey(), GEOMETRY, make.report([make.finding(0.9, box=tuple(map(float, box)))]).findings)
    assert coloured(canvas, Band.HIGH).sum() > 1200  # the whole of the tag


def test_a_small_picture_is_enlarged_to_be_read(make):
    canvas = draw(grey(28, 28), Geometry(28, 28), make.report([make.finding(0.9, box=(5.0, 5.0, 20.0, 20.0))]).findings)
    assert canvas.shape == (532, 532, 3)


def test_a_finding_of_the_whole_image_draws_nothing(make):
    report = make.report([make.finding(0.9, box=None, size=None)])
    assert (draw(grey(), GEOMETRY, report.findings) == 100).all()


def test_files_can_be_read_back():
    canvas = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    assert np.array_equal(cv2.imdecode(np.frombuffer(png(canvas), np.uint8), cv2.IMREAD_COLOR), canvas)
    assert cv2.imdecode(np.frombuffer(jpeg(canvas), np.uint8), cv2.IMREAD_COLOR).shape == canvas.shape
