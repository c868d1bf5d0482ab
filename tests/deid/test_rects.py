import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radvit.deid.rects import NONE, around, clipped, distinct, hull, merged, outside, overlap, quads_of

SHAPE = (40, 60)
rects = st.lists(
    st.tuples(st.integers(-10, 65), st.integers(-10, 45), st.integers(1, 40), st.integers(1, 30)), max_size=6
).map(lambda boxes: np.array(boxes, np.int64).reshape(-1, 4))


def painted(boxes, shape=SHAPE):
    counts = np.zeros(shape, int)
    for left, top, width, height in boxes:
        counts[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] += 1
    return counts


@given(rects)
def test_what_lies_outside_is_all_the_rest_once(boxes):
    rest = painted(outside(boxes, SHAPE))
    np.testing.assert_array_equal(rest, (painted(boxes) == 0).astype(int))


@given(rects)
def test_clipping_keeps_what_is_inside(boxes):
    inside = clipped(boxes, SHAPE)
    np.testing.assert_array_equal(painted(inside), painted(boxes))
    assert (inside[:, :2] >= 0).all()
    assert (inside[:, :2] + inside[:, 2:] <= [60, 40]).all()


@given(rects)
def test_joining_uncovers_nothing(boxes):
    before = boxes.copy()
    for joined in (merged(boxes, SHAPE), distinct(boxes, SHAPE)):
        assert (painted(joined) > 0)[painted(boxes) > 0].all()
        assert len(joined) <= len(boxes)
    np.testing.assert_array_equal(boxes, before)


def test_halves_are_one_region_and_neighbours_are_two():
    boxes = np.array([[0, 0, 20, 10], [8, 0, 20, 10], [40, 0, 10, 10]])
    np.testing.assert_array_equal(merged(boxes, SHAPE), [[0, 0, 28, 10], [40, 0, 10, 10]])
    np.testing.assert_array_equal(distinct(boxes, SHAPE), boxes)


def test_the_same_seen_twice_and_what_lies_within_another_are_left_out():
    boxes = np.array([[0, 0, 20, 10], [1, 0, 20, 10], [5, 5, 3, 3], [0, 0, 20, 10]])
    np.testing.assert_array_equal(distinct(boxes, SHAPE), [[0, 0, 21, 10]])
    assert len(distinct(NONE, SHAPE)) == 0


def test_overlap_is_over_the_smaller_one():
    assert overlap(np.array([0, 0, 10, 10]), np.array([5, 0, 10, 10])) == 0.5
    assert overlap(np.array([0, 0, 10, 10]), np.array([2, 2, 2, 2])) == 1
    assert overlap(np.array([0, 0, 10, 10]), np.array([10, 0, 5, 5])) == 0


def test_corners_and_back():
    boxes = np.array([[3, 4, 10, 5], [0, 0, 1, 1]])
    quads = quads_of(boxes)
    np.testing.assert_array_equal(quads[0], [[3, 4], [13, 4], [13, 9], [3, 9]])
    np.testing.assert_array_equal([around(quad) for quad in quads], boxes)
    assert hull(boxes) == (0, 0, 13, 9)
