from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from radvit.errors import ConfigError, DataError
from radvit.evaluation.evaluate import evaluate, study_scores
from radvit.evaluation.operating_point import OperatingPoint, choose
from radvit.evaluation.predictions import Predictions
from radvit.metrics.froc import FP_RATES, at_threshold, sensitivity_at
from radvit.metrics.jafroc import jafroc
from radvit.records import Boxes, Lesion, Task


def rng():
    return np.random.default_rng(0)


def take(predictions, index, patients):
    return replace(
        predictions,
        images=tuple(str(i) for i in range(len(index))),
        patients=tuple(patients),
        studies=tuple(predictions.studies[i] + p for i, p in zip(index, patients, strict=True)),
        scores=predictions.scores[index],
        targets=predictions.targets[index],
        boxes=tuple(predictions.boxes[i] for i in index),
        truth=tuple(predictions.truth[i] for i in index),
    )


def test_values_equal_the_metrics_themselves(make):
    predictions, operating = make(), choose(make(seed=1))
    result = evaluate(predictions, operating, rng(), n_boot=50)
    scores, targets = predictions.scores[:, 0], predictions.targets[:, 0]
    called = scores >= operating.image_thresholds[0]
    assert result["auroc"].value == pytest.approx(sk.roc_auc_score(targets, scores))
    assert result["average_precision"].value == pytest.approx(sk.average_precision_score(targets, scores))
    assert result["accuracy"].value == pytest.approx(sk.accuracy_score(targets, called))
    assert result["sensitivity"].value == pytest.approx(sk.recall_score(targets, called))
    assert result["specificity"].value == pytest.approx(sk.recall_score(1 - targets, ~called))
    assert result["ppv"].value == pytest.approx(sk.precision_score(targets, called))
    assert result["npv"].value == pytest.approx(sk.precision_score(1 - targets, ~called))
    assert result["jafroc"].value == pytest.approx(jafroc(predictions.boxes, predictions.truth))
    for rate, expected in zip(FP_RATES, sensitivity_at(predictions.boxes, predictions.truth), strict=True):
        assert result[f"froc/sensitivity@{rate:g}"].value == pytest.approx(expected)
    assert result["froc/cpm"].value == pytest.approx(sensitivity_at(predictions.boxes, predictions.truth).mean())
    hits, alarms = at_threshold(predictions.boxes, predictions.truth, operating.box_threshold)
    assert result["fp_per_image"].value == pytest.approx(alarms.mean())
    assert result["lesion_sensitivity"].value == pytest.approx(hits.sum() / predictions.n_lesions)
    for metric in result.values():
        assert metric.low <= metric.value <= metric.high or metric.value == pytest.approx(metric.low, abs=0.05)
        assert (metric.n_patients, metric.n_images, metric.n_lesions) == (20, 60, predictions.n_lesions)


def test_intervals_equal_those_of_physically_resampled_patients(make):
    predictions, operating = make(24), choose(make(seed=1))
    result = evaluate(predictions, operating, np.random.default_rng(5), n_boot=40)
    patients = list(dict.fromkeys(predictions.patients))
    draws = np.random.default_rng(5).integers(0, len(patients), (40, len(patients)))
    slow: dict[str, list[float]] = {}
    for draw in draws:
        index, whose = [], []
        for copy, p in enumerate(draw):
            own = [i for i, name in enumerate(predictions.patients) if name == patients[p]]
            index += own
            whose += [f"copy {copy}"] * len(own)
        resampled = evaluate(take(predictions, index, whose), operating, rng(), n_boot=1)
        for name, metric in resampled.items():
            slow.setdefault(name, []).append(metric.value)
    for name, metric in result.items():
        values = np.array(slow[name])
        low, high = np.quantile(values[np.isfinite(values)], [0.025, 0.975])
        assert (metric.low, metric.high) == pytest.approx((low, high), abs=1e-9), name


def test_the_same_generator_gives_the_same_intervals(make):
    assert evaluate(make(), None, rng(), 100) == evaluate(make(), None, rng(), 100)


def test_without_an_operating_point_what_needs_one_is_left_out(make):
    names = set(evaluate(make(), None, rng(), 10))
    assert not names & {"accuracy", "sensitivity", "specificity", "lesion_sensitivity", "fp_per_image"}
    assert {"auroc", "ece", "froc/cpm", "map"} <= names
    assert not any(n.startswith("froc") for n in evaluate(make(task=Task.CLASSIFY), None, rng(), 10))


def test_a_study_scores_as_its_highest_image():
    predictions = Predictions(
        images=("a", "b", "c"),
        patients=("p", "q", "p"),
        studies=("s", "t", "s"),
        labels=("nodule",),
        scores=np.array([[0.2], [0.5], [0.9]]),
        targets=np.array([[1.0], [0.0], [0.0]]),
        boxes=(Boxes.empty(),) * 3,
        truth=((),) * 3,
        task=Task.CLASSIFY,
    )
    scores, targets, first = study_scores(predictions)
    assert (scores.tolist(), targets.tolist(), first.tolist()) == ([[0.9], [0.5]], [[1.0], [0.0]], [0, 1])
    result = evaluate(predictions, None, rng(), 20)
    assert result["study_auroc"].value == 1.0
    assert result["auroc"].value == 0.0


def classes(exclusive, n=90, k=3):
    draw = np.random.default_rng(3)
    truth = draw.integers(0, k, n)
    logits = draw.normal(0, 1, (n, k)) + 1.5 * np.eye(k)[truth]
    targets = np.eye(k)[truth] if exclusive else (draw.random((n, k)) < 0.4).astype(float)
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = tuple(map(str, range(n)))
    empty = (Boxes.empty(),) * n
    return Predictions(
        names, names, names, ("a", "b", "c"), scores, targets, empty, ((),) * n, Task.CLASSIFY, exclusive
    )


def test_labels_that_exclude_each_other():
    predictions = classes(exclusive=True)
    result = evaluate(predictions, None, rng(), 20)
    truth, called = predictions.targets.argmax(1), predictions.scores.argmax(1)
    assert result["auroc"].value == pytest.approx(sk.roc_auc_score(truth, predictions.scores, multi_class="ovr"))
    assert result["accuracy"].value == pytest.approx(sk.accuracy_score(truth, called))
    assert result["sensitivity"].value == pytest.approx(sk.balanced_accuracy_score(truth, called))


def test_labels_that_do_not_exclude_each_other():
    predictions = classes(exclusive=False)
    operating = OperatingPoint((0.2, 0.3, 0.4))
    result = evaluate(predictions, operating, rng(), 20)
    called = predictions.scores >= np.array([0.2, 0.3, 0.4])
    assert result["auroc"].value == pytest.approx(sk.roc_auc_score(predictions.targets, predictions.scores))
    assert result["accuracy"].value == pytest.approx((called == predictions.targets).mean())
    assert result["sensitivity"].value == pytest.approx(sk.recall_score(predictions.targets, called, average="macro"))


@pytest.mark.filterwarnings("error")
def test_one_class_one_image_and_none_are_nan_in_silence(make):
    predictions = make(1)
    lonely = replace(predictions, truth=((),), targets=np.zeros((1, 1)))
    result = evaluate(lonely, OperatingPoint((0.5,), 0.5), rng(), 10)
    assert np.isnan(result["auroc"].value)
    assert np.isnan(result["froc/cpm"].low)
    assert np.isnan(result["map"].high)
    empty = take(predictions, np.zeros(0, int), [])
    assert np.isnan(evaluate(empty, None, rng(), 10)["auroc"].value)


def test_predictions_check_themselves(make):
    predictions = make(4)
    with pytest.raises(DataError, match=r"patients, studies, boxes, truth of \[3, 4, 4, 4\] images; expected 4"):
        replace(predictions, patients=("a", "b", "c"))
    with pytest.raises(DataError, match=r"scores \(4, 2\)"):
        replace(predictions, scores=np.zeros((4, 2)))
    with pytest.raises(DataError, match="not a probability"):
        replace(predictions, scores=np.full((4, 1), np.nan))
    with pytest.raises(DataError, match="one patient a study"):
        replace(predictions, patients=("a", "b", "c", "d"))
    with pytest.raises(DataError, match="expected at least 2"):
        replace(predictions, exclusive=True)
    with pytest.raises(ConfigError, match="2 image thresholds"):
        evaluate(predictions, OperatingPoint((0.1, 0.2)), rng())


@pytest.mark.slow
def test_ten_thousand_images_take_seconds(make):
    import time

    predictions = make(10_000)
    start = time.perf_counter()
    evaluate(predictions, choose(predictions), rng())
    assert time.perf_counter() - start < 20  # about 3 s on an idle core


def test_lesions_and_boxes_are_not_modified(make):
    predictions = make(12)
    before = [b.xyxy.copy() for b in predictions.boxes]
    evaluate(predictions, choose(predictions), rng(), 10)
    for box, was in zip(predictions.boxes, before, strict=True):
        np.testing.assert_array_equal(box.xyxy, was)
    assert all(isinstance(lesion, Lesion) for lesions in predictions.truth for lesion in lesions)


def test_every_metric_is_documented(make):
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    for name in evaluate(make(6), choose(make(6)), rng(), 2):
        assert f"`{name.partition('@')[0]}" in text, name
