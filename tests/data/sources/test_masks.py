import numpy as np
import pytest
from skimage import measure

from radvit.data.sources.masks import all_components, bits, check_classes, components
from radvit.errors import DataError


def test_bits_of_classes_that_overlap():
    one, two = np.zeros((3, 4), bool), np.zeros((3, 4), bool)
    one[0, :2], two[:, 1] = True, True
    mask = bits([(0, one), (7, two)], 3, 4)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[1, 129, 0, 0], [0, 128, 0, 0], [0, 128, 0, 0]]
    assert not bits([], 3, 4).any()


def test_components_are_those_of_skimage():
    rng = np.random.default_rng(0)
    for _ in range(5):
        plane = rng.random((20, 30)) < 0.15
        expected = {r.bbox for r in measure.regionprops(measure.label(plane, connectivity=2))}
        found = [lesion.box_px for lesion in components(plane, 3)]
        assert {(y1, x1, y2, x2) for x1, y1, x2, y2 in found} == expected
    assert components(np.zeros((4, 4), bool), 0) == ()


def test_each_class_has_components_of_its_own():
    mask = np.zeros((6, 6), np.uint8)
    mask[:3, :3], mask[1:4, 1:4] = 1, mask[1:4, 1:4] | 2
    mask[1:3, 1:3] = 3
    boxes = [(lesion.label, lesion.box_px) for lesion in all_components(mask, 2)]
    assert boxes == [(0, (0, 0, 3, 3)), (1, (1, 1, 4, 4))]


def test_nine_classes_do_not_fit():
    check_classes("x", 8)
    with pytest.raises(DataError, match="x: masks of 9 labels; expected at most 8"):
        check_classes("x", 9)
