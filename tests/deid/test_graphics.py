import cv2
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from radvit.deid.file_copy import FileScrubber
from radvit.deid.graphics import drop_lettered_overlays
from radvit.deid.options import DEFAULT, Option

SHAPE = 200, 300


def overlaid(*planes):
    dataset = Dataset()
    for number, plane in enumerate(planes):
        group = 0x6000 + 2 * number
        for element, vr, value in ((0x10, "US", SHAPE[0]), (0x11, "US", SHAPE[1]), (0x100, "US", 1), (0x22, "LO", "x")):
            dataset.add_new((group, element), vr, value)
        dataset.add_new((group, 0x3000), "OW", np.packbits(plane, bitorder="little").tobytes())
    return dataset


def circle():
    return cv2.circle(np.zeros(SHAPE, np.uint8), (150, 100), 60, 1, 2)


def lettered():
    return cv2.putText(np.zeros(SHAPE, np.uint8), "ROE JANE", (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1, 2)


def groups(dataset):
    return {element.tag.group for element in dataset}


def test_planes_with_text_go_whole_and_others_stay():
    dataset = overlaid(circle(), lettered(), np.zeros(SHAPE, np.uint8))
    assert drop_lettered_overlays(dataset) == 1
    assert groups(dataset) == {0x6000, 0x6004}


@pytest.mark.parametrize("spoil", [(0x6000, 0x3000), (0x6000, 0x0010), (0x6000, 0x0100)])
def test_a_plane_that_can_not_be_looked_at_goes(spoil):
    dataset = overlaid(circle())
    del dataset[spoil]
    assert drop_lettered_overlays(dataset) == 1
    assert len(dataset) == 0


def test_a_plane_that_is_cut_off_goes():
    dataset = overlaid(circle())
    dataset[0x6000, 0x3000].value = dataset[0x6000, 0x3000].value[:-2]
    assert drop_lettered_overlays(dataset) == 1


def test_without_overlays_nothing_happens():
    dataset = Dataset()
    dataset.PatientName = "x"
    assert drop_lettered_overlays(dataset) == 0
    assert dataset.PatientName == "x"


def test_the_option_decides(grey_file, tmp_path, pseudonymizer):
    path = grey_file(np.zeros((8, 8), np.uint16), BurnedInAnnotation="NO")
    dataset = dcmread(path)
    dataset.update(overlaid(circle(), lettered()))
    dataset.save_as(path)
    for options, kept in ((DEFAULT, set()), (DEFAULT | {Option.CLEAN_GRAPHICS}, {0x6000})):
        folder = tmp_path / f"out{len(options)}"
        FileScrubber(pseudonymizer, options=options).write(path, folder)
        copy = dcmread(next(folder.rglob("*.dcm")))
        assert {element.tag.group for element in copy if element.tag.group >> 8 == 0x60} == kept
