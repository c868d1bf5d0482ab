from dataclasses import replace

import numpy as np
import pytest

from radvit.data.preprocess import Placement
from radvit.data.samples import Cohort, Sample
from radvit.evaluation.baseline import blob_predictions
from radvit.evaluation.blobs import detect_blobs
from radvit.evaluation.predictions import Predictions
from radvit.records import Boxes, Geometry, Header, Lesion, Task

SIZE = 64
SPOTS = [(20, 30), (40, 12), (50, 44)]


@pytest.fixture
def cohort():
    """Images with a spot each, of stored images twice as large and shifted by 4 model pixels."""
    y, x = np.mgrid[:SIZE, :SIZE]
    pixels, samples = [], []
    for i, (cx, cy) in enumerate(SPOTS):
        pixels.append(0.2 + 0.6 * np.exp(-((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2) / 18))
        box = tuple(float(v) for v in (2 * (cx - 4) - 8, 2 * (cy - 4), 2 * (cx + 4) - 8, 2 * (cy + 4)))
        header = Header(f"P-{i}", f"2.25.1{i}", "2.25.2", f"2.25.3{i}", "CR")
        samples.append(Sample(header, Geometry(128, 112), Placement(0.5, 4.0, 0.0), (1.0, 0.0), (Lesion(box),)))
    return Cohort(np.array(pixels, np.float16), tuple(samples), ("nodule", "mass"), "f")


def of_model(cohort, indices):
    """What a model that says 0.75 of every image is recorded as."""
    samples = [cohort.samples[i] for i in indices]
    return Predictions(
        images=tuple(s.header.image for s in samples),
        patients=tuple(s.header.patient for s in samples),
        studies=tuple(s.header.study for s in samples),
        labels=cohort.labels,
        scores=np.tile(np.array([[0.75, 0.25]], np.float32), (len(samples), 1)),
        targets=np.array([s.targets for s in samples]),
        boxes=(Boxes.empty(),) * len(samples),
        truth=tuple(s.lesions for s in samples),
        task=Task.DETECT,
    )


def test_the_blob_baseline_is_measured_on_the_same_truth(cohort):
    model = of_model(cohort, [2, 0])
    blobs = blob_predictions(cohort, [2, 0], model)
    assert (blobs.images, blobs.truth) == (model.images, model.truth)
    np.testing.assert_array_equal(blobs.targets, model.targets)
    for row, index in enumerate([2, 0]):
        raw = detect_blobs(cohort.pixels[index].astype(np.float32))
        np.testing.assert_allclose(blobs.boxes[row].xyxy, (raw.xyxy - [4, 0, 4, 0]) * 2, rtol=1e-5)
        assert blobs.scores[row].tolist() == [raw.scores.max(), 0.0]  # blobs count as the first class
    best = blobs.boxes[0].xyxy[blobs.boxes[0].scores.argmax()]
    x1, y1, x2, y2 = model.truth[0][0].box_px
    assert x1 < best[[0, 2]].mean() < x2
    assert y1 < best[[1, 3]].mean() < y2


def test_the_baseline_of_a_blank_image_is_silent(cohort):
    blank = replace(cohort, pixels=np.zeros_like(cohort.pixels))
    model = of_model(blank, [0])
    blobs = blob_predictions(blank, [0], model)
    assert len(blobs.boxes[0]) == 0
    assert blobs.scores.tolist() == [[0.0, 0.0]]
    np.testing.assert_array_equal(model.scores, [[0.75, 0.25]])  # the model's own are left alone


def test_on_large_images_blobs_are_those_of_the_smaller_image(cohort):
    """The same images 16 times as large, 1024 px: looked at at 512 px, and found where they are."""
    large = np.repeat(np.repeat(cohort.pixels, 16, 1), 16, 2)
    samples = tuple(
        replace(s, placement=replace(s.placement, scale=16 * s.placement.scale, left=16 * s.placement.left))
        for s in cohort.samples
    )
    grown = replace(cohort, pixels=large, samples=samples)
    middle = replace(
        cohort,
        pixels=large[:, ::2, ::2],
        samples=tuple(replace(s, placement=replace(s.placement, scale=4.0, left=32.0)) for s in cohort.samples),
    )
    model = of_model(cohort, [0, 1, 2])
    for one, other in zip(*(blob_predictions(c, [0, 1, 2], model).boxes for c in (grown, middle)), strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
