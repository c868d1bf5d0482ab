from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from radvit.errors import ConfigError
from radvit.evaluation.calibrate import CalibrationKind, calibrated, fit_calibration
from radvit.metrics.calibration import Platt, Temperature
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
    after = platt.apply(predictions.scores)
    assert after.mean() == pytest.approx(predictions.targets.mean(), abs=0.01)


def softmax_of(make, n, sharpen, seed=0):
    """A classifier of three classes whose logits are `sharpen` times those that its targets were drawn with."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 3))
    targets = np.array([rng.multinomial(1, row) for row in softmax(logits, axis=1)], float)
    given = make(n, task=Task.CLASSIFY)
    scores = softmax(sharpen * logits, axis=1).astype(np.float32)
    return replace(given, labels=("a", "b", "c"), scores=scores, targets=targets, exclusive=True)


def test_classes_that_exclude_each_other_get_a_temperature(make):
    predictions = softmax_of(make, 3000, 2.5)
    found = fit_calibration(predictions)
    assert found.fitted
    assert found.temperature == pytest.approx(2.5, rel=0.06)
    after = calibrated(predictions, found)
    np.testing.assert_allclose(after.scores.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(after.scores.argmax(1), predictions.scores.argmax(1))
    loss = [-np.log(p.scores[p.targets > 0]).mean() for p in (predictions, after)]
    assert loss[1] < loss[0] - 0.05


def test_what_is_asked_for_is_fitted(make):
    exclusive, alone = softmax_of(make, 300, 2.5), make(400, task=Task.CLASSIFY, skill=1.0)
    assert fit_calibration(exclusive, kind=CalibrationKind.NONE) == Temperature()
    assert fit_calibration(alone, kind=CalibrationKind.NONE) == Platt()
    assert fit_calibration(alone, kind=CalibrationKind.PLATT) == fit_calibration(alone)
    with pytest.raises(ConfigError, match="calibration=platt for labels that exclude each other"):
        fit_calibration(exclusive, kind=CalibrationKind.PLATT)


def test_a_temperature_of_labels_that_stand_alone_is_the_best_slope_through_the_origin(make):
    predictions = make(400, task=Task.CLASSIFY, skill=1.0)
    found = fit_calibration(predictions, kind=CalibrationKind.TEMPERATURE)
    x, y = logit(predictions.scores.ravel()), predictions.targets.ravel() > 0
    slopes = np.linspace(0.05, 5, 4000)[:, None]
    losses = (np.logaddexp(0, slopes * x) - slopes * x * y).mean(1)
    assert found.intercept == 0
    assert found.slope == pytest.approx(float(slopes[losses.argmin(), 0]), abs=0.01)
    with_one_class = replace(predictions, targets=np.zeros_like(predictions.targets))
    assert fit_calibration(with_one_class, kind=CalibrationKind.TEMPERATURE) == Platt()


def test_without_images_nothing_is_fitted(make):
    none = softmax_of(make, 3, 1.0).of([])
    assert fit_calibration(none) == Temperature()


def test_an_image_without_boxes_keeps_its_score_of_nought(make):
    lesion = (100.0, 100.0, 200.0, 200.0)
    given = one_image(make, [lesion], [0.5], [lesion])
    silent = Boxes.empty()
    given = replace(given, boxes=(silent, *given.boxes[1:]), scores=np.array([[0.0], *[[0.5]] * 11], np.float32))
    after = calibrated(given, Platt(1.0, 1.0, fitted=True))
    assert after.scores[0, 0] == 0
    np.testing.assert_allclose(after.scores[1:, 0], 1 / (1 + np.exp(-1.0)), rtol=1e-6)
    np.testing.assert_allclose(after.boxes[1].scores, after.scores[1], rtol=1e-6)
