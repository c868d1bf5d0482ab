"""Both mAPs against pycocotools' own COCOeval."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from radvit.metrics.coco import MOST_DETECTIONS, coco_classes, coco_map
from radvit.metrics.detection import IOU_THRESHOLDS, mean_average_precision
from radvit.records import Boxes, Lesion


def random_cohort(seed, n_images=10, classes=2, levels=1_000_000):
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(n_images):
        corner = rng.uniform(0, 60, (rng.integers(0, 4), 2))
        truth.append(tuple(Lesion((x, y, x + 20, y + 16), int(rng.integers(0, classes))) for x, y in corner.tolist()))
        near = np.concatenate([corner + rng.normal(0, 2, corner.shape), rng.uniform(0, 60, (rng.integers(0, 4), 2))])
        xyxy = np.concatenate([near, near + np.array([20, 16]) + rng.normal(0, 2, near.shape)], axis=1).astype(
            np.float32
        )
        scores = (rng.integers(1, levels, len(near)) / levels).astype(np.float32)
        labels = np.r_[[lesion.label for lesion in truth[-1]], rng.integers(0, classes, len(near) - len(corner))]
        found.append(Boxes(xyxy, scores, labels.astype(np.int64)))
    return found, truth


def cocoeval(found, truth, **parameters):
    """Mean precision of COCOeval over what it has a precision for, or nan where it has none."""
    labels = sorted({lesion.label for lesions in truth for lesion in lesions} | {k for b in found for k in b.labels})
    true, seen = COCO(), []
    annotations = []
    for image, lesions in enumerate(truth):
        for lesion in lesions:
            x1, y1, x2, y2 = lesion.box_px
            one = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": lesion.label, **one})
    for image, boxes in enumerate(found):
        for (x1, y1, x2, y2), s, k in zip(boxes.xyxy.astype(float), boxes.scores, boxes.labels, strict=True):
            bbox = [x1, y1, x2 - x1, y2 - y1]
            seen.append({"image_id": image, "category_id": int(k), "bbox": bbox, "score": float(s)})
    true.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(len(truth))],
        "annotations": annotations,
        "categories": [{"id": int(k)} for k in labels],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        true.createIndex()
        judge = COCOeval(true, true.loadRes(seen) if seen else COCO(), "bbox")
        if not seen:
            judge.cocoDt.dataset = true.dataset | {"annotations": []}
            judge.cocoDt.createIndex()
        for name, value in parameters.items():
            setattr(judge.params, name, value)
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][..., 0, -1]  # area all, most detections
    return float(precision[precision > -1].mean()) if (precision > -1).any() else float("nan")


def ours(found, truth):
    return float(coco_map(coco_classes(found, truth), None, len(truth)))


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 1_000_000]), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_agrees_with_cocoeval(seed, levels, classes):
    found, truth = random_cohort(seed, levels=levels, classes=classes)
    assert ours(found, truth) == pytest.approx(cocoeval(found, truth), abs=1e-6, nan_ok=True)


def test_the_made_up_cohorts_are_neither_found_nor_missed():
    values = [ours(*random_cohort(seed, n_images=30)) for seed in range(3)]
    assert all(0.05 < value < 0.7 for value in values)
    assert len(set(values)) == 3


def test_degenerate_cohorts_agree_with_cocoeval():
    found, truth = random_cohort(1)
    nothing = [Boxes.empty()] * len(truth)
    assert ours(nothing, truth) == cocoeval(nothing, truth) == 0.0
    bare = [()] * len(truth)
    assert np.isnan(ours(found, bare))
    assert np.isnan(cocoeval(found, bare))
    assert np.isnan(coco_map(coco_classes(found, bare), np.ones((3, len(found))), len(found))).all()
    assert ours(found[:1], truth[:1]) == pytest.approx(cocoeval(found[:1], truth[:1]), abs=1e-6, nan_ok=True)
    perfect = [Boxes(np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))]
    assert ours(perfect, [(Lesion((0, 0, 9, 9)),)]) == pytest.approx(1.0)


def test_the_hundred_best_detections_of_an_image_count():
    lesion = (Lesion((0, 0, 10, 10)),)
    xyxy = np.tile(np.array([[500, 500, 520, 520]], np.float32), (MOST_DETECTIONS + 1, 1))
    xyxy[-1] = 0, 0, 10, 10
    scores = np.linspace(0.9, 0.1, MOST_DETECTIONS + 1).astype(np.float32)
    many = Boxes(xyxy, scores, np.zeros(MOST_DETECTIONS + 1, np.int64))
    assert ours([many], [lesion]) == cocoeval([many], [lesion]) == 0.0
    fewer = Boxes(xyxy[1:], scores[1:], many.labels[1:])
    assert ours([fewer], [lesion]) == pytest.approx(cocoeval([fewer], [lesion]), abs=1e-6)
    assert ours([fewer], [lesion]) > 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_weighting_equals_the_metric_on_the_repeated_images(seed):
    found, truth = random_cohort(seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(truth))
    again = np.repeat(np.arange(len(truth)), weights)
    many = coco_map(coco_classes(found, truth), np.stack([weights, np.ones(len(truth))]).astype(float), len(truth))
    resampled = ours([found[i] for i in again], [truth[i] for i in again])
    np.testing.assert_allclose(many, [resampled, ours(found, truth)], atol=1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_map_to_half_agrees_with_cocoeval_read_at_every_lesion(seed):
    """All-point interpolation over n lesions is the mean precision at the recalls 1/n, 2/n, ... 1."""
    found, truth = random_cohort(seed, classes=1)
    n = sum(map(len, truth))
    if not n:
        return
    dense = {"iouThrs": np.array(IOU_THRESHOLDS), "recThrs": np.arange(1, n + 1) / n}
    assert mean_average_precision(found, truth) == pytest.approx(cocoeval(found, truth, **dense), abs=1e-6)
