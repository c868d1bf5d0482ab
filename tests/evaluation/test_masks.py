"""Masks through predicting, measuring and drawing."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.contour import ContourSet

from radvit.data.preprocess import Placement, Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.errors import DataError
from radvit.evaluation.contact_sheet import View, contact_sheet
from radvit.evaluation.evaluate import evaluate
from radvit.evaluation.predict import predict
from radvit.evaluation.reading import read_evaluation
from radvit.evaluation.tables import title
from radvit.evaluation.writing import write_evaluation, write_scores
from radvit.inference.protocols import Answer
from radvit.metrics.matching import CENTER_INSIDE
from radvit.metrics.segmentation import Overlap
from radvit.records import Boxes, Geometry, Header, Provenance, Task

SIZE = 16


def cohort(masks):
    """One image a mask; a patient has two. masks: (N, S, S) uint8, bits of two classes."""
    samples = []
    for i, mask in enumerate(masks):
        header = Header(f"P-{i // 2}", f"2.25.1{i}", "2.25.2", f"2.25.3{i}", "CR")
        targets = tuple(float((mask >> k & 1).any()) for k in range(2))
        samples.append(Sample(header, Geometry(SIZE, SIZE), Placement(1.0, 0.0, 0.0), targets))
    pixels = np.stack([mask / 4 for mask in masks]).astype(np.float16)
    return Cohort(pixels, tuple(samples), ("nodule", "mass"), "f", masks=masks)


class Reader:
    """Reads the mask off the pixels, as they are made of it, and takes a row more than there is."""

    def __init__(self):
        self.batches = []

    def look(self, images):
        self.batches.append(len(images))
        bits = np.rint(images[:, 0] * 4).astype(np.uint8)
        layers = np.stack([bits & 1, bits >> 1 & 1], 1).astype(bool)
        layers[:, :, 1:] |= layers[:, :, :-1]
        return Answer(layers.any((2, 3)).astype(np.float32), [Boxes.empty()] * len(images), layers)

    def __call__(self, images):
        return self.look(images)[:2]


@pytest.fixture
def masks():
    made = np.zeros((5, SIZE, SIZE), np.uint8)
    made[0, 2:6, 2:6] |= 1
    made[1, 4:12, 4:8] |= 2
    made[3, 1:3, 1:9] |= 1
    made[3, 2:8, 5:9] |= 2  # the two overlap
    return made


def predicted(masks, segmenter=None, batch_size=2):
    made = cohort(masks)
    reader = segmenter or Reader()
    return predict(reader, made, range(5), Preprocess(SIZE, 0, 1), Task.SEGMENT, False, batch_size, None, reader)


def test_pixels_are_counted_image_by_image_and_class_by_class(masks):
    reader = Reader()
    counts = predicted(masks, reader).overlap
    assert reader.batches == [2, 2, 1]
    np.testing.assert_array_equal(counts.true, [[16, 0], [0, 32], [0, 0], [16, 24], [0, 0]])
    np.testing.assert_array_equal(counts.both, counts.true)
    np.testing.assert_array_equal(counts.found, [[20, 0], [0, 36], [0, 0], [24, 28], [0, 0]])


def test_without_true_masks_nothing_is_counted(masks):
    made = replace(cohort(masks), masks=None)
    reader = Reader()
    found = predict(reader, made, range(5), Preprocess(SIZE, 0, 1), Task.SEGMENT, False, 2, None, reader)
    assert found.overlap is None
    assert "dice" not in evaluate(found, None, np.random.default_rng(0), 10)


def test_dice_is_measured_with_its_interval(masks):
    result = evaluate(predicted(masks), None, np.random.default_rng(0), 200)
    nodule, mass = np.mean([32 / 36, 32 / 40]), np.mean([64 / 68, 48 / 52])
    assert result["dice/nodule"].value == pytest.approx(nodule)
    assert result["dice/mass"].value == pytest.approx(mass)
    assert result["dice"].value == pytest.approx((nodule + mass) / 2)
    assert result["dice_pooled"].value == pytest.approx((2 * 32 / (32 + 44) + 2 * 56 / (56 + 64)) / 2)
    assert result["dice/nodule"].low == pytest.approx(0.8)  # a resample with the fourth image's patient alone
    assert result["dice/nodule"].high == pytest.approx(32 / 36)
    assert (result["dice"].n_images, result["dice"].n_patients) == (5, 3)
    assert title("dice/nodule") == "Dice, images with nodule"


def test_distances_of_outlines_are_measured_written_and_read(masks, tmp_path):
    found = predicted(masks)
    np.testing.assert_array_equal(np.isfinite(found.hd95), found.overlap.true > 0)
    assert set(found.hd95[np.isfinite(found.hd95)]) == {1.0}  # one row more than there is
    result = evaluate(found, None, np.random.default_rng(0), 20)
    assert (result["hd95"].value, result["hd95/mass"].value) == (1.0, 1.0)
    assert title("hd95/mass").startswith("HD95 of outlines of mass")
    write_evaluation(tmp_path, result, {}, {}, found, Provenance("vit", "0", "fp32", "now"))
    again = read_evaluation(tmp_path).predictions
    np.testing.assert_array_equal(again.hd95, found.hd95)
    np.testing.assert_array_equal(again.overlap.both, found.overlap.both)


def test_counts_on_disk_give_dice_again(masks, tmp_path):
    found = predicted(masks)
    write_scores(tmp_path, found)
    with (tmp_path / "masks.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "nodule" and int(row["true"])]
    assert {row["image"] for row in rows} == {"2.25.30", "2.25.33"}
    each = [2 * int(row["both"]) / (int(row["found"]) + int(row["true"])) for row in rows]
    expected = evaluate(found, None, np.random.default_rng(0), 1)["dice/nodule"].value
    assert np.mean(each) == pytest.approx(expected)


def test_counts_of_other_images_are_refused(make):
    counts = np.zeros((3, 1), np.int64)
    with pytest.raises(DataError, match=r"pixel counts \(3, 1\); expected \(4, 1\)"):
        replace(make(4), overlap=Overlap(counts, counts, counts))
    fits = np.zeros((4, 1), np.int64)
    with pytest.raises(DataError, match=r"distances of outlines; expected \(4, 1\)"):
        replace(make(4), overlap=Overlap(fits, fits, fits))


def test_the_sheet_of_errors_shows_outlines_in_place_of_boxes(make):
    predictions = make(6)
    disc = np.hypot(*np.mgrid[-32:32, -32:32]) < 12

    def sheet(*outlines):
        def view(image):
            boxes = [np.float32(predictions.boxes[image].xyxy / 32), np.zeros((len(predictions.truth[image]), 4))]
            return View(np.zeros((64, 64), np.float32), *(b.astype(np.float32) for b in boxes), *outlines)

        return contact_sheet(predictions, 0.4, CENTER_INSIDE, view)

    def drawn(figure, kind):
        return sum(isinstance(artist, kind) for axes in figure.axes for artist in axes.get_children())

    shown = drawn(sheet(disc, disc), ContourSet)
    assert shown > 0
    assert shown % 2 == 0
    assert drawn(sheet(disc, np.zeros_like(disc)), ContourSet) == shown / 2  # an empty mask has no outline
    assert drawn(sheet(), ContourSet) == 0


def test_a_row_without_errors_takes_no_room(make):
    predictions = make(6)

    def view(image):
        boxes = [predictions.boxes[image].xyxy / 32, np.zeros((len(predictions.truth[image]), 4))]
        return View(np.zeros((64, 64), np.float32), *(b.astype(np.float32) for b in boxes))

    both, missed_alone = (contact_sheet(predictions, at, CENTER_INSIDE, view) for at in (0.6, 1.1))
    assert missed_alone.get_figheight() < 0.65 * both.get_figheight()


def test_some_images_keep_their_own_pixels_and_distances(masks):
    whole = predicted(masks)
    some = whole.of([3, 0])
    np.testing.assert_array_equal(some.hd95, whole.hd95[[3, 0]])
    np.testing.assert_array_equal(some.overlap.true, whole.overlap.true[[3, 0]])
    assert np.isnan(some.spacing).all()  # nothing is told of it
    assert len(whole.of([])) == 0
