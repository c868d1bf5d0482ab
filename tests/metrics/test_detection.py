"""mAP against a slow loop from the definition, and against pycocotools through torchmetrics where that is installed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.metrics.detection import IOU_THRESHOLDS, mean_average_precision
from radvit.records import Boxes, Lesion


def random_cohort(seed, n_images=10, classes=2, levels=1_000_000):
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(n_images):
        corner = rng.uniform(0, 60, (rng.integers(0, 4), 2))
        truth.append(tuple(Lesion((x, y, x + 20, y + 16), int(rng.integers(0, classes))) for x, y in corner.tolist()))
        near = np.concatenate([corner + rng.normal(0, 5, corner.shape), rng.uniform(0, 60, (rng.integers(0, 4), 2))])
        xyxy = np.concatenate([near, near + rng.uniform(12, 24, near.shape)], axis=1).astype(np.float32)
        scores = (rng.integers(1, levels, len(near)) / levels).astype(np.float32)
        found.append(Boxes(xyxy, scores, rng.integers(0, classes, len(near)).astype(np.int64)))
    return found, truth


def slow_iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def slow_average_precision(found, truth, label, threshold):
    """Greedy matching detection by detection, then the area under the interpolated curve, threshold by threshold."""
    rows = []
    for b, lesions in zip(found, truth, strict=True):
        free = [lesion.box_px for lesion in lesions if lesion.label == label]
        for i in sorted(range(len(b)), key=lambda i: -b.scores[i]):
            if b.labels[i] != label:
                continue
            overlaps = [slow_iou(b.xyxy[i].astype(float), t) for t in free]
            best = int(np.argmax(overlaps)) if overlaps else -1
            hit = bool(overlaps) and overlaps[best] >= threshold
            if hit:
                free.pop(best)
            rows.append((float(b.scores[i]), hit))
    n = sum(lesion.label == label for lesions in truth for lesion in lesions)
    points = []
    for s in {score for score, _ in rows}:
        called = [hit for score, hit in rows if score >= s]
        points.append((sum(called) / n, sum(called) / len(called)))
    area, before = 0.0, 0.0
    for recall in sorted({r for r, _ in points}):
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


def slow_map(found, truth):
    labels = sorted({lesion.label for lesions in truth for lesion in lesions})
    return np.mean([[slow_average_precision(found, truth, k, t) for t in IOU_THRESHOLDS] for k in labels])


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 1_000_000]))
@settings(max_examples=30, deadline=None)
def test_agrees_with_the_definition(seed, levels):
    found, truth = random_cohort(seed, levels=levels)
    if any(truth):
        assert mean_average_precision(found, truth) == pytest.approx(slow_map(found, truth), abs=1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_weighting_equals_the_metric_on_the_repeated_images(seed):
    found, truth = random_cohort(seed, levels=10)
    weights = np.random.default_rng(seed).integers(0, 4, len(truth))
    again = np.repeat(np.arange(len(truth)), weights)
    many = mean_average_precision(found, truth, np.stack([weights, np.ones(len(truth))]))
    assert many.shape == (2,)
    resampled = mean_average_precision([found[i] for i in again], [truth[i] for i in again])
    np.testing.assert_allclose(many, [resampled, mean_average_precision(found, truth)], atol=1e-12)


def test_agrees_with_pycocotools_at_dense_recalls():
    pytest.importorskip("pycocotools")
    from torchmetrics.detection import MeanAveragePrecision

    found, truth = random_cohort(7, n_images=40)
    metric = MeanAveragePrecision(
        iou_thresholds=list(IOU_THRESHOLDS), rec_thresholds=np.linspace(0, 1, 20_001).tolist()
    )
    metric.warn_on_many_detections = False
    metric.update(
        [
            {"boxes": torch.tensor(b.xyxy), "scores": torch.tensor(b.scores), "labels": torch.tensor(b.labels)}
            for b in found
        ],
        [
            {
                "boxes": torch.tensor([lesion.box_px for lesion in lesions]).reshape(-1, 4),
                "labels": torch.tensor([lesion.label for lesion in lesions], dtype=torch.int64),
            }
            for lesions in truth
        ],
    )
    assert mean_average_precision(found, truth) == pytest.approx(float(metric.compute()["map"]), abs=1e-3)


def test_known_answers():
    lesion = (Lesion((0, 0, 10, 10)),)
    perfect = Boxes(np.array([[0, 0, 10, 10]], np.float32), np.array([0.3], np.float32), np.zeros(1, np.int64))
    assert mean_average_precision([perfect], [lesion]) == 1.0
    assert mean_average_precision([Boxes.empty()], [lesion]) == 0.0
    twice = Boxes(np.repeat(perfect.xyxy, 2, 0), np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    assert mean_average_precision([twice], [(*lesion, Lesion((50, 50, 60, 60)))]) == 0.5
    loose = Boxes(np.array([[0, 0, 10, 26]], np.float32), np.array([0.3], np.float32), np.zeros(1, np.int64))
    assert mean_average_precision([loose], [lesion]) == pytest.approx(6 / 9)  # IoU 0.385: true up to 0.35


def test_no_lesion_is_nan():
    found, _ = random_cohort(0)
    assert np.isnan(mean_average_precision(found, [()] * len(found)))
    assert np.isnan(mean_average_precision(found, [()] * len(found), np.ones((3, len(found))))).all()
