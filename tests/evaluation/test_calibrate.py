from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from radvit.errors import ConfigError, DataError
from radvit.evaluation.calibrate import Method, fit_calibration
from radvit.evaluation.evaluate import evaluate
from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Platt, Temperature, fit_slope
from radvit.metrics.matching import HitKind, HitRule
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
    platt = fit_calibration(predictions).boxes
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
    assert fit_calibration(silent).boxes == Platt()


def test_too_few_hits_fit_nothing(make):
    lesion = (100.0, 100.0, 200.0, 200.0)
    away = one_image(make, [[500.0, 500.0, 600.0, 600.0]], [0.7], [lesion])
    assert not fit_calibration(away).boxes.fitted


def test_a_classifiers_image_scores_are_fitted(make):
    predictions = make(400, task=Task.CLASSIFY, skill=1.0)
    platt = fit_calibration(predictions).images
    x, y = logit(predictions.scores.ravel())[:, None], predictions.targets.ravel() > 0
    expected = LogisticRegression(C=1e9).fit(x, y)
    assert platt.slope == pytest.approx(float(expected.coef_[0, 0]), rel=0.05)
    calibrated = platt.apply(predictions.scores)
    assert calibrated.mean() == pytest.approx(predictions.targets.mean(), abs=0.01)


def softmax_of(make, n, power=1.0):
    """Predictions of two classes that exclude each other; power: how much surer than they should be."""
    predictions = make(n, task=Task.CLASSIFY, skill=1.0)
    odds = (predictions.scores / (1 - predictions.scores)) ** power
    both = np.concatenate([1 / (1 + odds), odds / (1 + odds)], 1)
    targets = np.concatenate([1 - predictions.targets, predictions.targets], 1)
    return replace(predictions, labels=("healthy", "ill"), scores=both, targets=targets, exclusive=True)


def test_classes_that_exclude_each_other_get_a_temperature(make):
    plain, sure = (fit_calibration(softmax_of(make, 300, power)).images for power in (1.0, 3.0))
    assert isinstance(plain, Temperature)
    assert plain.fitted
    assert sure.temperature == pytest.approx(3 * plain.temperature, rel=1e-3)
    given = softmax_of(make, 300, 3.0)
    calibrated = sure.apply(given.scores)
    np.testing.assert_array_equal(calibrated.argmax(1), given.scores.argmax(1))
    before, after = (
        evaluate(replace(given, scores=s), None, np.random.default_rng(0), 0)["ece"].value
        for s in (given.scores, calibrated)
    )
    assert after < before


def test_a_detectors_image_scores_have_a_fit_of_their_own(make):
    predictions = make(400, skill=1.0)
    fitted = fit_calibration(predictions)
    x, y = logit(predictions.scores.ravel())[:, None], predictions.targets.ravel() > 0
    expected = LogisticRegression(C=1e9).fit(x, y)
    assert fitted.images.slope == pytest.approx(float(expected.coef_[0, 0]), rel=0.05)
    assert fitted.images != fitted.boxes
    ours = evaluate(
        replace(predictions, scores=fitted.of_images(predictions.scores)), None, np.random.default_rng(0), 0
    )
    boxes = evaluate(
        replace(predictions, scores=fitted.of_boxes(predictions.scores)), None, np.random.default_rng(0), 0
    )
    assert ours["ece"].value < boxes["ece"].value
    assert ours["brier"].value < boxes["brier"].value
    assert ours["auroc"].value == pytest.approx(boxes["auroc"].value)


def test_what_counts_as_a_hit_follows_the_rule(make):
    predictions = make(200, skill=1.0)
    strict, loose = (fit_calibration(predictions, hit_rule=HitRule(HitKind.DISTANCE, d)) for d in (4, 60))
    assert strict.boxes != loose.boxes
    assert strict.images == loose.images
    with pytest.raises(DataError, match=r"hit rule distance_mm, but \d+ images with lesions without pixel spacing"):
        fit_calibration(predictions, hit_rule=HitRule(HitKind.DISTANCE_MM, 4))


def test_each_method_gives_its_own_map(make):
    predictions, softmax = make(200, skill=1.0), softmax_of(make, 200)
    assert fit_calibration(predictions, Method.NONE) == Calibration(Platt(), Platt())
    assert fit_calibration(softmax, Method.NONE) == Calibration(Temperature())
    assert fit_calibration(predictions, Method.PLATT) == fit_calibration(predictions)
    assert fit_calibration(softmax, Method.TEMPERATURE) == fit_calibration(softmax)
    scaled = fit_calibration(predictions, Method.TEMPERATURE)
    assert (scaled.images.intercept, scaled.boxes.intercept) == (0.0, 0.0)
    assert scaled.images == fit_slope(predictions.scores.ravel(), predictions.targets.ravel() > 0)
    with pytest.raises(ConfigError, match="calibration=platt with labels that exclude each other; expected temp"):
        fit_calibration(softmax, Method.PLATT)
