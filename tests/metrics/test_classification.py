import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.classification import BinaryCalibrationError

from radvit.metrics import classification as ours


@st.composite
def scored(draw):
    """Scores with many ties, targets of both classes, and how often each image counts."""
    n = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 5, 1000]))
    targets = rng.integers(0, 2, n)
    targets[:2] = 0, 1
    weights = rng.integers(0, 4, n)
    weights[:2] = 1
    return rng.integers(0, levels, n) / levels, targets, weights.astype(float)


@given(scored())
@settings(max_examples=150, deadline=None)
def test_ranking_metrics_agree_with_sklearn_ties_and_weights_included(case):
    scores, targets, weights = case
    assert ours.auroc(scores, targets) == pytest.approx(sk.roc_auc_score(targets, scores), abs=1e-12)
    assert ours.average_precision(scores, targets) == pytest.approx(
        sk.average_precision_score(targets, scores), abs=1e-12
    )
    assert ours.auroc(scores, targets, weights) == pytest.approx(
        sk.roc_auc_score(targets, scores, sample_weight=weights), abs=1e-12
    )
    assert ours.average_precision(scores, targets, weights) == pytest.approx(
        sk.average_precision_score(targets, scores, sample_weight=weights), abs=1e-12
    )


@given(scored(), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_threshold_metrics_agree_with_sklearn(case, threshold):
    scores, targets, weights = case
    called = scores >= threshold
    assert ours.accuracy(scores, targets, threshold) == pytest.approx(sk.accuracy_score(targets, called))
    assert ours.sensitivity(scores, targets, threshold, weights) == pytest.approx(
        sk.recall_score(targets, called, sample_weight=weights)
    )
    assert ours.specificity(scores, targets, threshold, weights) == pytest.approx(
        sk.recall_score(1 - targets, ~called, sample_weight=weights)
    )
    assert ours.brier(scores, targets, weights) == pytest.approx(
        sk.brier_score_loss(targets, scores, sample_weight=weights)
    )


@given(scored())
@settings(max_examples=60, deadline=None)
def test_a_weighting_equals_the_metric_on_the_repeated_images(case):
    scores, targets, weights = case
    again = np.repeat(np.arange(len(scores)), weights.astype(int))
    both = np.stack([weights, np.ones_like(weights)])
    for metric in (ours.auroc, ours.average_precision, ours.brier, ours.ece):
        many = metric(scores, targets, both)
        assert many.shape == (2,)
        assert many[0] == pytest.approx(float(metric(scores[again], targets[again])), abs=1e-12)
        assert many[1] == pytest.approx(float(metric(scores, targets)), abs=1e-12)


def test_ece_agrees_with_torchmetrics():
    rng = np.random.default_rng(0)
    scores = rng.random(500)  # away from bin edges, where the two may round differently
    targets = rng.random(500) < scores**2
    reference = BinaryCalibrationError(n_bins=15, norm="l1")(torch.tensor(scores), torch.tensor(targets.astype(int)))
    assert ours.ece(scores, targets) == pytest.approx(float(reference), abs=1e-6)


def test_ece_known_answers():
    assert ours.ece(np.array([1.0, 1.0, 0.0]), np.array([1, 1, 0])) == 0
    assert ours.ece(np.array([0.8, 0.8]), np.array([1, 0])) == pytest.approx(0.3)
    assert ours.bin_of(np.array([0.0, 0.999, 1.0])).tolist() == [0, 14, 14]


def test_one_class_or_no_image_is_nan_without_a_warning():
    scores, ones = np.array([0.2, 0.9]), np.array([1, 1])
    none = np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(ours.auroc(scores, ones))
        assert np.isnan(ours.average_precision(scores, 1 - ones))
        assert np.isnan(ours.specificity(scores, ones, 0.5))
        for metric in (ours.auroc, ours.average_precision, ours.brier, ours.ece):
            assert np.isnan(metric(none, none))
        assert np.isnan(ours.auroc(scores, np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 1.0]]))).tolist() == [
            True,
            False,
        ]


def test_inputs_are_left_as_they_are():
    scores, targets, weights = np.array([0.3, 0.1, 0.2]), np.array([1, 0, 1]), np.ones((2, 3))
    for metric in (ours.auroc, ours.average_precision, ours.brier, ours.ece):
        metric(scores, targets, weights)
    assert scores.tolist() == [0.3, 0.1, 0.2]
    assert targets.tolist() == [1, 0, 1]
    assert (weights == 1).all()


@given(scored(), st.sampled_from([0.0, 0.3, 0.5, 1.1]))
@settings(max_examples=80, deadline=None)
def test_predictive_values_agree_with_sklearn(case, threshold):
    scores, targets, weights = case
    called, present = scores >= threshold, targets > 0
    for sample_weight in (None, weights):
        expected = [
            sk.precision_score(a, b, sample_weight=sample_weight, zero_division=np.nan)
            for a, b in ((present, called), (~present, ~called))
        ]
        found = [ours.ppv(called, present, sample_weight), ours.npv(called, present, sample_weight)]
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_predictive_values_of_nothing_called_are_nan():
    none, some = np.zeros(3, bool), np.array([True, False, False])
    assert np.isnan(ours.ppv(none, some))
    assert np.isnan(ours.npv(~none, some))
    assert ours.npv(none, some) == pytest.approx(2 / 3)
    assert ours.ppv(~none, some, np.ones((4, 3))) == pytest.approx(np.full(4, 1 / 3))
    assert np.isnan(ours.ppv(none[:0], some[:0]))
