import numpy as np
import pytest

from radvit.data.preprocess import Placement, Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.evaluation.predict import model_input, predict
from radvit.records import Boxes, Geometry, Header, Lesion, Task

SIZE = 64
PREPROCESS = Preprocess(SIZE, 0.25, 0.5)
SPOTS = [(20, 30), (40, 12), (50, 44), (12, 12), (33, 33)]


@pytest.fixture(scope="module")
def cohort():
    """Five images with a spot each, of stored images twice as large and shifted by 4 model pixels."""
    y, x = np.mgrid[:SIZE, :SIZE]
    pixels, samples = [], []
    for i, (cx, cy) in enumerate(SPOTS):
        pixels.append(0.2 + 0.6 * np.exp(-((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2) / 18))
        box = tuple(float(v) for v in (2 * (cx - 4) - 8, 2 * (cy - 4), 2 * (cx + 4) - 8, 2 * (cy + 4)))
        header = Header(f"P-{i // 2}", f"2.25.1{i // 2}", "2.25.2", f"2.25.3{i}", "CR")
        samples.append(Sample(header, Geometry(128, 112), Placement(0.5, 4.0, 0.0), (1.0, 0.0), (Lesion(box),)))
    return Cohort(np.array(pixels, np.float16), tuple(samples), ("nodule", "mass"), "f")


class Brightest:
    """A box of 8 x 8 around the brightest model pixel; remembers its batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append(images.shape)
        boxes = []
        for image in images[:, 0]:
            y, x = np.unravel_index(image.argmax(), image.shape)
            box = np.array([[x - 4, y - 4, x + 4, y + 4]], np.float32)
            boxes.append(Boxes(box, np.array([0.75], np.float32), np.zeros(1, np.int64)))
        return np.tile(np.array([[0.75, 0.0]], np.float32), (len(images), 1)), boxes


def measured(cohort, indices, batch_size=2, progress=None, detector=None):
    detector = detector or Brightest()
    return predict(detector, cohort, indices, PREPROCESS, Task.DETECT, False, batch_size, progress)


def test_model_input_is_normalised_and_in_the_order_asked_for(cohort):
    images = model_input(cohort, [3, 0], PREPROCESS)
    assert images.shape == (2, 1, SIZE, SIZE)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[0, 0], (cohort.pixels[3].astype(np.float32) - 0.25) / 0.5)


def test_boxes_come_back_in_pixels_of_the_stored_image(cohort):
    found = measured(cohort, range(5))
    for boxes, lesions in zip(found.boxes, found.truth, strict=True):
        np.testing.assert_allclose(boxes.xyxy[0], lesions[0].box_px, atol=2)  # one model pixel


def test_images_and_truth_keep_the_order_of_the_indices(cohort):
    found = measured(cohort, [4, 1, 2])
    assert found.images == ("2.25.34", "2.25.31", "2.25.32")
    assert found.patients == ("P-2", "P-0", "P-1")
    assert found.studies == ("2.25.12", "2.25.10", "2.25.11")
    assert found.truth == tuple(cohort.samples[i].lesions for i in (4, 1, 2))
    np.testing.assert_array_equal(found.targets, [[1, 0]] * 3)
    assert (found.labels, found.task, found.exclusive) == (("nodule", "mass"), Task.DETECT, False)


@pytest.mark.parametrize(("size", "batches"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (50, [5])])
def test_the_batch_size_changes_nothing_but_the_batches(cohort, size, batches):
    detector, seen = Brightest(), []
    found = measured(cohort, range(5), size, lambda done, total: seen.append((done, total)), detector)
    assert detector.batches == [(n, 1, SIZE, SIZE) for n in batches]
    assert seen[-1] == (5, 5)
    expected = measured(cohort, range(5))
    np.testing.assert_array_equal(found.scores, expected.scores)
    for one, other in zip(found.boxes, expected.boxes, strict=True):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
