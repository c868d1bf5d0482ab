import numpy as np
import pytest

from radvit.inference.findings import findings, image_findings, size_mm
from radvit.inference.location import is_chest_radiograph, locate
from radvit.inference.results import ImageResult
from radvit.records import Boxes, Geometry, Header, Location, SpacingPlane


def header(**changes):
    fields = {
        "patient": "P-A",
        "study": "2.25.1",
        "series": "2.25.2",
        "image": "2.25.3",
        "modality": "DX",
        "body_part": "CHEST",
        "view": "PA",
        "patient_orientation": ("L", "F"),
    }
    return Header(**(fields | changes))


GEOMETRY = Geometry(900, 600, (0.2, 0.1), SpacingPlane.DETECTOR)


def boxes(*rows):
    corners = np.array([row[:4] for row in rows], np.float32)
    return Boxes(corners, np.array([row[4] for row in rows], np.float32), np.array([row[5] for row in rows], np.int64))


def found_in(geometry, given, labels, threshold=0.3, picture=None):
    """The findings of an image, plain grey where no picture is given."""
    picture = np.full((450, 300), 90, np.uint8) if picture is None else picture
    return findings(ImageResult(header(), geometry, (), given, picture), labels, threshold)


def test_one_finding_in_full():
    (found,) = found_in(GEOMETRY, boxes((60, 30, 100, 90, 0.75, 1)), ("mass", "nodule"))
    assert found.type == "nodule"
    assert found.score == 0.75
    assert found.image == "2.25.3"
    assert found.box_px == (60, 30, 100, 90)
    assert found.size_mm == pytest.approx(12.0)  # 60 rows of 0.2 mm, against 40 columns of 0.1 mm
    assert found.size_plane is SpacingPlane.DETECTOR
    assert found.location == Location("right", "upper", None, "image")  # plain grey shows no lungs
    assert found.contrast is None  # nor a contrast


def test_best_first_and_threshold_kept_inclusive():
    rows = [(0, 0, 9, 9, score, 0) for score in (0.25, 0.5, 0.125, 0.75)]
    assert [f.score for f in found_in(GEOMETRY, boxes(*rows), ("nodule",), 0.25)] == [0.75, 0.5, 0.25]


def test_no_boxes_no_findings():
    assert found_in(GEOMETRY, Boxes.empty(), ("nodule",)) == ()


def test_inputs_unmodified():
    given = boxes((60, 30, 100, 90, 0.4, 0), (1, 1, 5, 5, 0.9, 0))
    before = given.xyxy.copy(), given.scores.copy()
    found_in(GEOMETRY, given, ("nodule",))
    assert np.array_equal(given.xyxy, before[0])
    assert np.array_equal(given.scores, before[1])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 100, 10), 10.0),  # wide: 100 columns of 0.1 mm
        ((0, 0, 10, 100), 20.0),  # high: 100 rows of 0.2 mm
        ((0, 0, 100, 60), 12.0),  # wider in pixels, higher in the patient
    ],
)
def test_size_takes_the_matching_spacing(box, expected):
    assert size_mm(box, GEOMETRY) == pytest.approx(expected)


def test_no_spacing_no_size():
    (found,) = found_in(Geometry(10, 10, None, SpacingPlane.DETECTOR), boxes((1, 1, 5, 5, 0.9, 0)), ("a",))
    assert found.size_mm is None
    assert found.size_plane is SpacingPlane.UNKNOWN


@pytest.mark.parametrize(
    ("orientation", "x", "side"),
    [
        (("L", "F"), 100, "right"),  # columns run to the patient's left: the right side is on the image's left
        (("L", "F"), 500, "left"),
        (("R", "F"), 100, "left"),
        (("R", "F"), 500, "right"),
        (("LF", "FA"), 100, "right"),
        (("L", "F"), 300, None),  # just in the middle
        (("A", "F"), 100, None),  # a lateral view
        (None, 100, None),
    ],
)
def test_side(orientation, x, side):
    place = locate((x - 10, 40, x + 10, 60), header(patient_orientation=orientation), GEOMETRY)
    assert place.side == side


@pytest.mark.parametrize(
    ("y", "column", "zone"),
    [
        (10, "F", "upper"),
        (299, "F", "upper"),
        (301, "F", "middle"),
        (601, "F", "lower"),
        (900, "F", "lower"),
        (10, "H", "lower"),
        (890, "H", "upper"),
    ],
)
def test_zone(y, column, zone):
    assert locate((0, y, 10, y), header(patient_orientation=("L", column)), GEOMETRY).zone == zone


@pytest.mark.parametrize(
    ("changes", "chest"),
    [
        ({}, True),
        ({"view": None}, True),
        ({"body_part": None}, True),
        ({"body_part": None, "view": "LL"}, False),
        ({"body_part": "KNEE", "view": "AP"}, False),
        ({"modality": "CT"}, False),
    ],
)
def test_only_chest_radiographs_have_a_location(changes, chest):
    assert is_chest_radiograph(header(**changes)) is chest
    assert (locate((0, 0, 10, 10), header(**changes), GEOMETRY) != Location()) is chest


def test_image_findings_have_neither_box_nor_size():
    low, high = 0.2, 0.9
    (found,) = image_findings(header(), (low, high), ("effusion", "pneumonia"))
    assert (found.type, found.score, found.image) == ("pneumonia", 0.9, "2.25.3")
    assert (found.box_px, found.size_mm, found.location) == (None, None, Location())
