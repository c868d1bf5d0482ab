from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from radvit.evaluation.calibrate import fit_calibration
from radvit.metrics.calibration import Platt
from radvit.records import Boxes, Lesion, Task


def logit(p):
    p = np.asarray(p, np.float64)
    return np.log(p / (1 - p))


def one_image(make, boxes, scores, lesions):
    """Predictions whose every image has the same boxes and lesions."""
    given = make(12)
    found = Boxes(np.array(boxes, np.float32), np.array(scores, np.float32), np.zeros(len(boxes), np.int64))
    truth = tuple(Lesion(box) for box in lesions)
    n = len(given)
    targets = np.full((n, 1), float(bool(lesions)))
    return replace(given, boxes=(found,) * n, truth=(truth,) * n, targets=targets)


def test_a_detectors_fit_is_logistic_regression_on_hits(make):
    predictions = make(200, skill=1.0)
    scores, hits = [], []
    for boxes, lesions in zip(predictions.boxes, predictions.truth, strict=True):
        taken = set()
        for i in np.argsort(-boxes.scores, kind="stable"):
            cx, cy = (boxes.xyxy[i, :2] + boxes.xyxy[i, 2:]) / 2
            inside = [
                k
                for k, lesion in enumerate(lesions)
                if lesion.box_px[0] <= cx <= lesion.box_px[2] and lesion.box_px[1] <= cy <= lesion.box_px[3]
            ]
            if inside and taken >= set(inside):
                continue  # a second box on a found lesion
            taken |= {k for k in inside if k not in taken}
            scores.append(boxes.scores[i])
            hits.append(bool(inside))
    expected = LogisticRegression(C=1e9).fit(logit(scores)[:, None], hits)
    platt = fit_calibration(predictions)
    assert platt.fitted
    assert platt.slope == pytest.approx(float(expected.coef_[0, 0]), rel=0.03)  # Platt's targets shrink a little
    assert platt.intercept == pytest.approx(float(expected.intercept_[0]), abs=0.1)


def test_a_repeated_hit_counts_neither_way(make):
    lesion = (100.0, 100.0, 200.0, 200.0)
    away = [500.0, 500.0, 600.0, 600.0]
    once = one_image(make, [lesion, away], [0.9, 0.2], [lesion])
    twice = one_image(make, [lesion, [110.0, 110.0, 190.0, 190.0], away], [0.9, 0.6, 0.2], [lesion])
    assert fit_calibration(twice) == fit_calibration(once)
    missed = one_image(make, [lesion, [700.0, 700.0, 800.0, 800.0], away], [0.9, 0.6, 0.2], [lesion])
    assert fit_calibration(missed) != fit_calibration(once)


def test_nothing_detected_is_left_as_it_is(make):
    silent = replace(make(12), boxes=(Boxes.empty(),) * 12)
    assert fit_calibration(silent) == Platt()


def test_too_few_hits_fit_nothing(make):
    lesion = (100.0, 100.0, 200.0, 200.0)
    away = one_image(make, [[500.0, 500.0, 600.0, 600.0]], [0.7], [lesion])
    assert not fit_calibration(away).fitted


def test_a_classifiers_image_scores_are_fitted(make):
    predictions = make(400, task=Task.CLASSIFY, skill=1.0)
    platt = fit_calibration(predictions)
    x, y = logit(predictions.scores.ravel())[:, None], predictions.targets.ravel() > 0
    expected = LogisticRegression(C=1e9).fit(x, y)
    assert platt.slope == pytest.approx(float(expected.coef_[0, 0]), rel=0.05)
    calibrated = platt.apply(predictions.scores)
    assert calibrated.mean() == pytest.approx(predictions.targets.mean(), abs=0.01)


def test_classes_that_exclude_each_other_keep_their_softmax(make):
    predictions = make(60, task=Task.CLASSIFY)
    both = np.concatenate([1 - predictions.scores, predictions.scores], 1)
    targets = np.concatenate([1 - predictions.targets, predictions.targets], 1)
    softmax = replace(predictions, labels=("healthy", "ill"), scores=both, targets=targets, exclusive=True)
    assert fit_calibration(softmax) == Platt()
