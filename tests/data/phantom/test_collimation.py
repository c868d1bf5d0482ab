from dataclasses import replace

import numpy as np
import pydicom
import pytest

from radvit.data.field import MARGIN, find_field
from radvit.data.loader import Loader
from radvit.data.phantom import write_cohort
from radvit.data.phantom.collimation import Border, draw_border, surround
from radvit.data.phantom.patient import placed_images
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.written import Coding

from .conftest import Written


@pytest.fixture(scope="module")
def collimated(written, tmp_path_factory):
    folder = tmp_path_factory.mktemp("collimated") / "cohort"
    spec = replace(written.spec, patients=6, collimated=0.7)
    return Written(folder, spec, write_cohort(folder, spec, 1), ())


@pytest.fixture(scope="module")
def pairs(written, collimated):
    """Each collimated image beside the same without a border, and the border, drawn again by its own generator."""
    plain = {image["file_name"]: image for image in written.truth["images"]}
    found = []
    for image in collimated.truth["images"]:
        before = plain[image["file_name"]]
        place = (int(part.strip("STIM")) for part in image["file_name"][len("dicom/") : -len(".dcm")].split("/"))
        patient, study, number = place
        rng = np.random.default_rng([collimated.spec.seed, patient, 8, study, number])
        found.append((image, before, draw_border(rng, collimated.spec.collimated, (before["height"], before["width"]))))
    return found


def test_the_field_is_the_image_without_a_border(written, collimated, pairs):
    kinds = dict.fromkeys(("black", "white", "none"), 0)
    for image, _, border in pairs:
        name = image["file_name"]
        before, after = (cohort.datasets[name].pixel_array for cohort in (written, collimated))
        inner = after[border.top : after.shape[0] - border.bottom, border.left : after.shape[1] - border.right]
        np.testing.assert_array_equal(inner, before)
        assert (image["height"], image["width"]) == after.shape
        kinds["none" if after.shape == before.shape else "white" if border.white else "black"] += 1
    assert min(kinds.values()) >= 1, kinds


def test_truth_moves_along(written, collimated, pairs):
    def by_lesion(cohort, image):
        return {a["lesion_id"]: a["bbox"] for a in cohort.truth["annotations"] if a["image_id"] == image["id"]}

    seen = 0
    for image, before, border in pairs:
        ours, theirs = by_lesion(collimated, image), by_lesion(written, before)
        assert ours.keys() == theirs.keys()
        for lesion, box in ours.items():
            moved = np.add(theirs[lesion], [border.left, border.top, 0, 0])
            np.testing.assert_allclose(box, moved, atol=0.03)
            seen += 1
    assert seen


def test_what_is_cropped_is_never_of_the_field(collimated, pairs):
    loader, whole = Loader(Pseudonymizer(b"k" * 32)), 0
    for image, _, border in pairs:
        pixels = loader.load(collimated.folder / image["file_name"])[0].pixels
        field = find_field(pixels)
        true = np.array([border.top, border.left, image["height"] - border.bottom, image["width"] - border.right])
        given = np.array([field.top, field.left, field.bottom, field.right])
        assert ((true - given) * [1, 1, -1, -1] >= 0).all()
        whole += bool(np.abs(given - true).max() <= MARGIN * max(pixels.shape) + 1)
    assert whole >= 0.8 * len(pairs)


def test_lungs_lie_where_they_are_seen(written, collimated):
    plain = {name: pose for patient in range(6) for name, _, pose in placed_images(written.spec, patient)}
    wide = {name: pose for patient in range(6) for name, _, pose in placed_images(collimated.spec, patient)}
    assert any(plain[name] != wide[name] for name in wide)
    for name, pose in wide.items():
        dataset = pydicom.dcmread(collimated.folder / name, stop_before_pixels=True)
        assert (dataset.Rows, dataset.Columns) == (pose.rows, pose.columns)


@pytest.mark.parametrize(
    ("photometric", "white", "value"),
    [("MONOCHROME2", False, 0), ("MONOCHROME2", True, 1023), ("MONOCHROME1", False, 1023), ("MONOCHROME1", True, 0)],
)
def test_a_border_is_black_or_white_however_it_is_stored(photometric, white, value):
    coding = Coding(10, photometric, None, (), "LINEAR", "explicit")
    around = surround(np.full((2, 3), 7, np.uint16), Border(1, 2, 0, 1, white), coding)
    assert around.tolist() == [[value] * 6, [value, value, 7, 7, 7, value], [value, value, 7, 7, 7, value]]


def test_without_a_border_nothing_is_copied():
    stored = np.zeros((2, 3), np.uint16)
    assert surround(stored, Border(), Coding(10, "MONOCHROME2", None, (), "LINEAR", "explicit")) is stored
    assert draw_border(np.random.default_rng(0), 0.0, (10, 10)) == Border()
