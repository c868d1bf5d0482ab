from dataclasses import replace

import cv2
import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.phantom import CohortSpec, write_cohort
from radvit.data.phantom.lungs import true_lungs
from radvit.deid.pseudonym import Pseudonymizer
from radvit.inference.decoding import shown
from radvit.inference.location import lungs_of
from radvit.inference.lung_field import LungField, estimate_lungs

SPEC = CohortSpec.preset(3, 77, small=True)


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    """Pairs of a phantom's image, read from its file, and its true lungs."""
    folder = tmp_path_factory.mktemp("phantom")
    write_cohort(folder, SPEC, 1)
    loader = Loader(Pseudonymizer(bytes(32)))
    return [
        (loader.load(folder / truth.file_name)[0], truth)
        for patient in range(SPEC.patients)
        for truth in true_lungs(SPEC, patient, 1024)
    ]


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def whole_size(field, picture):
    return cv2.resize(field.mask.astype(np.uint8), picture.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def test_true_lungs_are_those_of_the_written_images(radiographs):
    for image, truth in radiographs:
        picture = shown(image.pixels)
        assert truth.right.shape == truth.left.shape == picture.shape
        assert not (truth.right & truth.left).any()
        assert np.nonzero(truth.right)[1].mean() < np.nonzero(truth.left)[1].mean()
        rim = cv2.dilate((truth.right | truth.left).astype(np.uint8), np.ones((41, 41))) > 0
        lung = truth.right | truth.left
        assert picture[lung].mean() + 20 < picture[rim & ~lung].mean()  # lungs are darker than what is around them


def test_lungs_are_found_on_phantoms(radiographs):
    for image, truth in radiographs:
        picture = shown(image.pixels)
        before = picture.copy()
        field = estimate_lungs(picture)
        assert np.array_equal(picture, before)
        assert dice(whole_size(field, picture), truth.right | truth.left) > 0.8
        right = LungField.of_masks(truth.right, truth.left)
        assert field.midline == pytest.approx(right.midline, abs=0.03)
        for found, true in zip(field.lungs, right.lungs, strict=True):
            assert found.top == pytest.approx(true.top, abs=0.06)


def test_an_image_that_is_upside_down_is_turned(radiographs):
    image, _ = radiographs[0]
    picture = shown(image.pixels)
    turned = replace(image.header, patient_orientation=("L", "H"))
    assert np.array_equal(lungs_of(picture[::-1], turned).mask, lungs_of(picture, image.header).mask)


@pytest.mark.parametrize(
    "changes",
    [{"view": "LL"}, {"body_part": "KNEE"}, {"modality": "CT"}, {"patient_orientation": ("F", "L")}],
)
def test_only_upright_frontal_chests_are_asked(radiographs, changes):
    image, _ = radiographs[0]
    picture = shown(image.pixels)
    assert lungs_of(picture, image.header) is not None
    assert lungs_of(picture, replace(image.header, **changes)) is None


def test_one_lung_covered_is_no_pair(radiographs):
    image, truth = radiographs[0]
    picture = shown(image.pixels)
    white = cv2.dilate(truth.left.astype(np.uint8), np.ones((61, 61))) > 0
    assert estimate_lungs(np.where(white, 240, picture).astype(np.uint8)) is None


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((400, 300), np.uint8),
        np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8),
        np.tile(np.linspace(0, 255, 300).astype(np.uint8), (400, 1)),
        np.full((20, 20), 90, np.uint8),
        np.full((1000, 100), 90, np.uint8),
    ],
    ids=["black", "noise", "ramp", "tiny", "narrow"],
)
def test_what_shows_no_lungs_gives_none(picture):
    assert estimate_lungs(picture) is None
