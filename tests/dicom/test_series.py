from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from radvit.dicom.geometry import geometry
from radvit.dicom.series import Arrangement, Gap, Slice, arrange
from radvit.records import Geometry

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def axial(*heights, axes=AXIAL):
    return [Slice((5.0, -7.0, float(z)), axes, (number, 0)) for number, z in enumerate(heights)]


def test_nothing_and_one_slice():
    assert arrange([]) == Arrangement()
    assert arrange([]).order == ()
    (stack,) = arrange(axial(3)).stacks
    assert (stack.order, stack.spacing_mm, stack.gaps, stack.duplicates) == ((0,), None, (), ())


def test_axial_slices_run_from_the_feet_to_the_head_whatever_their_numbers():
    arrangement = arrange(axial(30, 10, 20, 0))
    assert arrangement.order == (3, 1, 2, 0)
    assert arrangement.stacks[0].spacing_mm == 10
    assert (arrangement.missing, arrangement.repeated) == (0, 0)


@pytest.mark.parametrize("axes", [(-1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0), (0, 1, 0, 1, 0, 0)])
def test_turning_an_image_in_its_plane_keeps_the_order(axes):
    assert arrange(axial(30, 10, 20, axes=axes)).order == (1, 2, 0)


def test_oblique_slices_by_their_distance_along_the_normal():
    tilt = np.deg2rad(25)
    axes = (1.0, 0.0, 0.0, 0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    normal = np.cross(axes[:3], axes[3:])
    # Shifted within the plane too, by more than the spacing: heights alone would give another order.
    shift = np.array(axes[3:]) * np.array([[40], [0], [-40], [0]])
    slices = [Slice(tuple(normal * depth + s), axes) for depth, s in zip((0, 2, 4, 6), shift, strict=True)]
    assert sorted(range(4), key=lambda i: slices[i].position_mm[2]) != [0, 1, 2, 3]
    arrangement = arrange(slices)
    assert arrangement.order == (0, 1, 2, 3)
    assert arrangement.stacks[0].spacing_mm == pytest.approx(2)


def test_gaps_say_where_and_how_many():
    arrangement = arrange(axial(0, 2.5, 5, 12.5, 15, 20, 22.5))
    assert arrangement.stacks[0].spacing_mm == 2.5
    assert arrangement.stacks[0].gaps == (Gap(2, 2), Gap(4, 1))
    assert arrangement.missing == 3


def test_uneven_spacing_is_no_gap():
    assert arrange(axial(0, 2.5, 5.2, 7.4, 10.9)).missing == 0


def test_copies_are_told_and_stay_together_by_number():
    slices = axial(0, 1, 2, 1.004, 1, 3)
    (stack,) = arrange(slices).stacks
    assert stack.order == (0, 1, 3, 4, 2, 5)
    assert stack.duplicates == ((1, 3, 4),)
    assert stack.spacing_mm == 1
    assert arrange(slices).repeated == 2


def test_images_side_by_side_in_one_plane_are_no_copies():
    slices = [Slice((float(x), 0.0, 0.0), AXIAL, (x, 0)) for x in (0, 100, 200)]
    assert arrange(slices).repeated == 0
    assert arrange(slices).stacks[0].spacing_mm is None


def test_mixed_orientations_are_stacks_of_their_own():
    localizer = [Slice((0.0, 0.0, float(z)), axes) for z in (0, 5) for axes in (AXIAL, CORONAL, SAGITTAL)]
    arrangement = arrange(localizer)
    assert [len(stack.order) for stack in arrangement.stacks] == [2, 2, 2]
    assert sorted(arrangement.order) == list(range(6))
    assert arrange(axial(0, 1) + axial(2, 3, axes=(0.99999, 0.003, 0, -0.003, 0.99999, 0))).stacks[0].spacing_mm == 1


def test_without_places_the_numbers_tell():
    slices = [Slice(number=(3, 0)), Slice(), Slice(number=(1, 1)), Slice(number=(1, 0)), Slice()]
    assert arrange(slices) == Arrangement(unplaced=(3, 2, 0, 1, 4))
    assert arrange([*slices, *axial(1, 0)]).order == (6, 5, 3, 2, 0, 1, 4)
    assert arrange([Slice((0.0, 0.0, 0.0), None, (2, 0)), Slice(None, AXIAL, (1, 0))]).order == (1, 0)


def test_from_an_image():
    place = Geometry(4, 4, position_mm=(1.0, 2.0, 3.0), axes=AXIAL)
    assert Slice.of(place, 7, 2) == Slice((1.0, 2.0, 3.0), AXIAL, (7, 2))
    assert Slice.of(Geometry(4, 4)) == Slice()


def test_two_real_slices_of_one_series():
    names = ("CT_small.dcm", "CT_small.dcm")
    places = [geometry(pydicom.dcmread(get_testdata_file(name, download=False))) for name in names]
    assert places[0].position_mm is not None
    moved = replace(places[1], position_mm=(*places[1].position_mm[:2], places[1].position_mm[2] - 5))
    arrangement = arrange([Slice.of(places[0], 1), Slice.of(moved, 2)])
    assert arrangement.order == (1, 0)
    assert arrangement.stacks[0].spacing_mm == pytest.approx(5)


cosines = st.sampled_from(
    [AXIAL, CORONAL, SAGITTAL, (0.8, 0.6, 0.0, -0.6, 0.8, 0.0), (1.0, 0.0, 0.0, 0.0, 0.999, 0.04)]
)
coordinates = st.tuples(*[st.integers(-20, 20).map(lambda v: v / 2)] * 3)


@given(st.lists(st.tuples(coordinates, cosines), max_size=25), st.randoms(use_true_random=False))
def test_the_order_given_makes_no_difference(places, random):
    slices = [Slice(position, axes, (number, 0)) for number, (position, axes) in enumerate(places)]
    shuffled = slices.copy()
    random.shuffle(shuffled)
    one, other = arrange(slices), arrange(shuffled)
    assert sorted(one.order) == list(range(len(slices)))
    assert [slices[i] for i in one.order] == [shuffled[i] for i in other.order]
    assert (one.missing, one.repeated) == (other.missing, other.repeated)
    assert [stack.spacing_mm for stack in one.stacks] == [stack.spacing_mm for stack in other.stacks]


@given(st.integers(2, 40), st.floats(0.1, 10), st.data())
def test_the_sum_of_steps_and_gaps_is_the_extent(count, spacing, data):
    kept = [0, *sorted(data.draw(st.sets(st.integers(1, count - 1), min_size=1)))]
    arrangement = arrange(axial(*(i * spacing for i in kept)))
    steps = np.diff(kept)
    if np.median(steps) == 1:
        assert arrangement.stacks[0].spacing_mm == pytest.approx(spacing)
        assert arrangement.missing == count_of_missing(steps)


def count_of_missing(steps):
    return sum(int(step) - 1 for step in steps)
