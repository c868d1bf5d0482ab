import cv2
import numpy as np
import pytest

from radvit.deid import text_lines
from radvit.deid.rects import quads_of
from radvit.deid.text_lines import Line, judge_text
from radvit.dicom.coding import Coding

CODING = Coding(16, 12, 0, False)


def turned(degrees, length=400.0, height=30.0, centre=(500.0, 500.0)):
    angle = np.radians(degrees)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return np.array([centre + x * along * length / 2 + y * across * height / 2 for x, y in corners], np.float32)


@pytest.mark.parametrize("degrees", [0, 1, 89, 90, 180, 271])
def test_a_line_along_the_axes_is_one_box_and_reaches_beyond_its_ends(degrees):
    (line,) = text_lines._lines(np.zeros((0, 4), np.int64), turned(degrees)[None], (1000, 1000))
    assert isinstance(line, Line)
    (box,), (wide,) = line.rects, line.wide
    assert max(box[2:]) in range(400, 415)
    assert max(wide[2:]) - max(box[2:]) == 2 * min(box[2:])


@pytest.mark.parametrize("degrees", [20, 45, 70, 110, 160])
def test_a_tilted_line_is_held_by_small_boxes(degrees):
    quad = turned(degrees)
    (line,) = text_lines._lines(np.zeros((0, 4), np.int64), quad[None], (1000, 1000))
    mask = np.zeros((1000, 1000), bool)
    for left, top, width, height in line.rects:
        mask[top : top + height, left : left + width] = True
    shares = np.random.default_rng(0).random((500, 2))
    points = quad[0] + shares[:, :1] * (quad[1] - quad[0]) + shares[:, 1:] * (quad[3] - quad[0])
    x, y = points.astype(int).T
    assert mask[y, x].all()
    assert mask.sum() < 4 * 400 * 30


def test_a_line_found_twice_is_one_and_strokes_know_its_ends():
    stroked = np.array([[300, 485, 400, 30]])
    (line,) = text_lines._lines(stroked, turned(0, length=380)[None], (1000, 1000))
    np.testing.assert_array_equal(line.rects, stroked)
    np.testing.assert_array_equal(line.wide, stroked)
    np.testing.assert_array_equal(line.corners, quads_of(stroked)[0])


def test_of_too_many_lines_the_rest_goes_unread(monkeypatch):
    ink = np.zeros((400, 900), np.uint8)
    for row in range(4):
        cv2.putText(ink, "PORTABLE AP", (40, 60 + 90 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 2)
    image = np.where(ink > 0, 4095, 1000).astype(np.uint16)
    assert judge_text(image[None], CODING, frozenset())[1] == 4
    monkeypatch.setattr(text_lines, "_MOST_READ", 1)
    blanked, kept = judge_text(image[None], CODING, frozenset())
    assert kept == 1
    assert len(blanked) >= 3
