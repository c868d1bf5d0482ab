import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from radvit.errors import DataError
from radvit.metrics.calibration import (
    LEAST_SLOPE,
    Platt,
    Temperature,
    fit_platt,
    fit_platt_logits,
    fit_slope,
    fit_softmax,
    fit_temperature,
)
from radvit.metrics.classification import ece


def overconfident(n, seed=0):
    """Scores whose true slope is 0.5 and intercept -1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, n)
    return expit(x), rng.random(n) < expit(0.5 * x - 1)


@given(st.integers(0, 10_000), st.integers(20, 300))
@settings(max_examples=30, deadline=None)
def test_agrees_with_sklearns_platt(seed, n):
    scores, hits = overconfident(n, seed)
    if min(hits.sum(), (~hits).sum()) < 5:
        return
    reference = _SigmoidCalibration().fit(logit(scores), hits)
    if -reference.a_ < LEAST_SLOPE:
        return
    fit = fit_platt(scores, hits)
    assert (fit.slope, fit.intercept) == pytest.approx((-reference.a_, -reference.b_), abs=2e-3)


def test_recovers_the_truth_and_lowers_the_calibration_error():
    scores, hits = overconfident(20_000)
    fit = fit_platt(scores, hits)
    plain = LogisticRegression(C=np.inf).fit(logit(scores)[:, None], hits)
    assert (fit.slope, fit.intercept) == pytest.approx((0.5, -1.0), abs=0.05)
    assert (fit.slope, fit.intercept) == pytest.approx((plain.coef_[0, 0], plain.intercept_[0]), abs=2e-3)
    assert fit.fitted
    assert ece(fit.apply(scores), hits) < 0.02 < 0.1 < ece(scores, hits)


def test_order_never_changes():
    scores, hits = overconfident(500)
    for truth in (hits, ~hits):  # the second is anti-correlated: the slope is held above 0
        fit = fit_platt(scores, truth)
        assert fit.slope >= LEAST_SLOPE
        assert roc_auc_score(hits, fit.apply(scores)) == pytest.approx(roc_auc_score(hits, scores), abs=1e-12)
        assert fit.apply(scores).mean() == pytest.approx(truth.mean(), abs=0.01)


def test_too_little_to_fit_is_the_identity_and_says_so():
    scores = np.array([0.1, 0.2, 0.7, 0.0, 1.0], np.float32)
    for hits in (np.ones(5, bool), np.zeros(5, bool), np.array([1, 0, 1, 0, 0], bool)):
        fit = fit_platt(scores, hits)
        assert fit == Platt(1.0, 0.0, fitted=False)
        np.testing.assert_array_equal(fit.apply(scores), scores)
    assert fit_platt(np.zeros(0), np.zeros(0, bool)) == Platt()


def test_separable_and_saturated_scores_stay_finite():
    scores = np.r_[np.zeros(10), np.ones(10)].astype(np.float32)
    fit = fit_platt(scores, scores > 0.5)
    out = fit.apply(scores)
    assert out.dtype == np.float32
    assert out[0] == pytest.approx(1 / 12, abs=1e-3)  # Platt's targets
    assert out[-1] == pytest.approx(11 / 12, abs=1e-3)
    same = fit_platt(np.full(30, 0.5), np.arange(30) < 10)
    assert same.apply(np.array([0.5])) == pytest.approx([1 / 3], abs=0.02)


def test_logits_and_scores_are_the_same_fit():
    scores, hits = overconfident(300)
    a, b = fit_platt(scores, hits), fit_platt_logits(logit(scores), hits)
    assert (a.slope, a.intercept) == pytest.approx((b.slope, b.intercept), abs=1e-4)
    np.testing.assert_allclose(a.apply(scores), b.apply_logits(logit(scores)), atol=1e-4)


def test_shapes_round_trip_and_errors():
    fit = Platt(0.5, -0.25, fitted=True)
    assert Platt.from_dict(fit.to_dict()) == fit
    assert fit.apply(np.zeros((2, 3))).shape == (2, 3)
    assert fit.apply(np.zeros(0)).shape == (0,)
    with pytest.raises(DataError, match=r"scores of shape \(2,\) and hits of shape \(3,\)"):
        fit_platt(np.zeros(2), np.zeros(3, bool))
    with pytest.raises(DataError, match="slope above 0"):
        Platt(-1.0, 0.0)


def test_temperature_against_a_grid():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2000, 4))
    targets = np.array([rng.choice(4, p=np.exp(log_softmax(row / 2.5))) for row in logits])
    grid = np.exp(np.linspace(np.log(0.5), np.log(10), 2000))
    losses = [-log_softmax(logits / t, axis=1)[np.arange(2000), targets].mean() for t in grid]
    assert fit_temperature(logits, targets) == pytest.approx(grid[int(np.argmin(losses))], rel=5e-3)
    assert fit_temperature(np.zeros((0, 4)), np.zeros(0, np.int64)) == 1.0


def test_the_temperature_of_a_softmax_is_that_of_its_logits():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (400, 3))
    true = np.array([rng.choice(3, p=softmax(row / 2)) for row in logits])
    scores = softmax(logits, axis=1)
    fit = fit_softmax(scores, np.eye(3)[true])
    assert fit.fitted
    assert fit.temperature == pytest.approx(fit_temperature(logits, true), rel=1e-6)
    np.testing.assert_allclose(fit.apply(scores), softmax(logits / fit.temperature, axis=1), atol=1e-12)
    low = fit.apply(scores.astype(np.float32))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, softmax(logits / fit.temperature, axis=1), atol=1e-5)


def test_a_temperature_with_too_little_to_fit_is_the_identity_and_says_so():
    sure = np.array([[0.9, 0.1], [0.2, 0.8]] * 10)
    for targets in (np.eye(2)[[0, 1] * 10], np.eye(2)[[1, 0] * 10]):  # all right, all wrong
        assert fit_softmax(sure, targets) == Temperature(1.0, fitted=False)
    assert fit_softmax(np.zeros((0, 2)), np.zeros((0, 2))) == Temperature()
    np.testing.assert_array_equal(Temperature().apply(sure), sure)
    certain = Temperature(2.0).apply(np.array([[1.0, 0.0]], np.float32))
    assert np.isfinite(certain).all()
    assert certain.sum() == pytest.approx(1)
    assert Temperature.from_dict(Temperature(2.5, fitted=True).to_dict()) == Temperature(2.5, fitted=True)
    with pytest.raises(DataError, match="temperature 0; expected a finite number above 0"):
        Temperature(0)


def test_a_slope_alone_against_a_grid():
    scores, hits = overconfident(800)
    fit = fit_slope(scores, hits)
    grid = np.linspace(0.06, 2, 4000)
    x = logit(scores)
    losses = [(np.logaddexp(0, a * x) - a * x * hits).sum() for a in grid]
    assert fit.slope == pytest.approx(grid[int(np.argmin(losses))], rel=5e-3)
    assert (fit.intercept, fit.fitted) == (0.0, True)
    assert fit_slope(scores[:4], hits[:4]) == Platt()
