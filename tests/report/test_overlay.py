from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from radvit.records import Geometry
from radvit.report.build import Band
from radvit.report.overlay import BGR, PALETTE, decoded, draw, jpeg

GEOMETRY = Geometry(1600, 1200)


def grey(rows=800, columns=600):
    return np.full((rows, columns), 100, np.uint8)


def coloured(canvas, band):
    """(rows, columns) bool: pixels in the colour of a band."""
    return (canvas == np.array(BGR[band], np.uint8)).all(2)


@pytest.mark.parametrize(("score", "band"), [(0.9, Band.HIGH), (0.6, Band.MODERATE), (0.4, Band.LOW)])
def test_a_box_lies_where_the_finding_lies_in_the_colour_of_its_band(make, score, band):
    report = make.report([make.finding(score, box=(400.0, 600.0, 800.0, 1000.0))])
    marked = coloured(draw(grey(), GEOMETRY, report.findings).bgr(), band)
    rows, columns = np.nonzero(marked)
    assert (columns.min(), columns.max()) == (pytest.approx(200, abs=3), pytest.approx(400, abs=3))
    assert rows.max() == pytest.approx(500, abs=3)
    assert marked[498:503, 250].any()
    assert not marked[310:490, 210:390].any()  # what lies within stays to be seen


def test_without_findings_the_picture_is_untouched():
    picture = np.arange(800 * 600).reshape(800, 600).astype(np.uint8)
    drawing = draw(picture, GEOMETRY, ())
    assert np.array_equal(drawing.bgr(), np.repeat(picture[..., None], 3, 2))
    assert np.array_equal(decoded(drawing.png()), drawing.bgr())
    assert drawing.values is not picture


def test_marks_change_greys_nowhere_else_by_more_than_one(make):
    picture = np.arange(800 * 600).reshape(800, 600).astype(np.uint8)
    canvas = draw(picture, GEOMETRY, make.report([make.finding(0.9)]).findings).bgr().astype(int)
    rest = (canvas[..., 0] == canvas[..., 1]) & (canvas[..., 1] == canvas[..., 2]) & (canvas[..., 0] > 0)
    assert rest.mean() > 0.9
    assert set(np.unique((canvas[..., 0] - picture)[rest & (canvas[..., 0] < 255)])) <= {0, 1}
    assert (canvas[..., 0] == picture).mean() > 0.85


def test_the_input_is_untouched(make):
    picture = grey()
    draw(picture, GEOMETRY, make.report([make.finding(0.9)]).findings)
    assert (picture == 100).all()


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (1180, 0, 1200, 20), (1180, 1580, 1200, 1600), (0, 0, 1200, 1600)])
def test_a_tag_stays_within_the_picture(make, box):
    canvas = draw(grey(), GEOMETRY, make.report([make.finding(0.9, box=tuple(map(float, box)))]).findings).bgr()
    assert coloured(canvas, Band.HIGH).sum() > 1200  # the whole of the tag


def test_a_small_picture_is_enlarged_to_be_read(make):
    findings = make.report([make.finding(0.9, box=(5.0, 5.0, 20.0, 20.0))]).findings
    assert draw(grey(28, 28), Geometry(28, 28), findings).bgr().shape == (532, 532, 3)


def test_a_finding_of_the_whole_image_draws_nothing(make):
    report = make.report([make.finding(0.9, box=None, size=None)])
    assert (draw(grey(), GEOMETRY, report.findings).bgr() == 100).all()


@pytest.mark.parametrize("score", [0.9, 0.6, 0.4])
def test_a_file_holds_the_drawing_in_a_palette(make, score):
    picture = np.random.default_rng(0).integers(0, 256, (801, 603), np.uint8)
    drawing = draw(picture, GEOMETRY, make.report([make.finding(score)]).findings)
    file = drawing.png()
    assert np.array_equal(decoded(file), drawing.bgr())
    with Image.open(BytesIO(file)) as image:
        image.verify()
        assert (image.mode, image.size) == ("P", (603, 801))
    with Image.open(BytesIO(file)) as image:
        assert np.array_equal(np.asarray(image.convert("RGB"))[..., ::-1], drawing.bgr())


def test_letters_are_smoothed_between_their_ink_and_their_ground(make):
    canvas = draw(grey(), GEOMETRY, make.report([make.finding(0.9)]).findings).bgr()
    assert (canvas == PALETTE[52]).all(2).sum() > 20  # half of each
    assert PALETTE[52] == pytest.approx((np.array(BGR[Band.HIGH]) + 255) / 2, abs=1)


def test_a_picture_can_be_embedded():
    for shape in ((64, 48), (64, 48, 3)):
        assert decoded(jpeg(np.zeros(shape, np.uint8))).shape == (64, 48, 3)
