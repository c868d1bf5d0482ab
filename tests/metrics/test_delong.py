"""DeLong's test against a slow loop from the papers' sums, and against what resampling and simulation say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from radvit.errors import DataError
from radvit.metrics.bootstrap import two_sided_p
from radvit.metrics.classification import auroc
from radvit.metrics.delong import areas, difference


def cohort(seed, n=40, levels=12, patients=None):
    """Scores (2, n), targets with both classes, and each image's patient."""
    rng = np.random.default_rng(seed)
    targets = np.r_[0, 0, 1, 1, rng.integers(0, 2, n - 4)]
    whose = np.arange(n) if patients is None else np.r_[0, 1, 0, 1, rng.integers(0, patients, n - 4)]
    scores = np.round((rng.normal(0, 1, (2, n)) + rng.normal(0, 1, whose.max() + 1)[whose] + targets) * levels) / levels
    return scores, targets, whose


def slow(scores, targets, whose):
    """Obuchowski 1997 by loops: components by counting, sums a patient, then S10, S01 and S11 of each pair."""
    x, y = np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)

    def psi(a, b):
        return 1.0 if a > b else 0.5 if a == b else 0.0

    theta, ten, one = [], [], []
    for row in scores:
        v10 = {i: sum(psi(row[i], row[j]) for j in y) / len(y) for i in x}
        v01 = {j: sum(psi(row[i], row[j]) for i in x) / len(x) for j in y}
        theta.append(sum(v10.values()) / len(x))
        names = sorted(set(whose.tolist()))
        ten.append([sum(v10[i] - theta[-1] for i in x if whose[i] == c) for c in names])
        one.append([sum(v01[j] - theta[-1] for j in y if whose[j] == c) for c in names])
    i10, i01, every = len({whose[i] for i in x}), len({whose[j] for j in y}), len(set(whose.tolist()))
    out = np.zeros((2, 2))
    for r in range(2):
        for s in range(2):
            s10 = i10 / ((i10 - 1) * len(x)) * sum(p * q for p, q in zip(ten[r], ten[s], strict=True))
            s01 = i01 / ((i01 - 1) * len(y)) * sum(p * q for p, q in zip(one[r], one[s], strict=True))
            s11 = every / (every - 1) * sum(p * q for p, q in zip(ten[r], one[s], strict=True))
            back = every / (every - 1) * sum(p * q for p, q in zip(ten[s], one[r], strict=True))
            out[r, s] = s10 / len(x) + s01 / len(y) + (s11 + back) / (len(x) * len(y))
    return np.array(theta), out


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 12, 10_000]), st.sampled_from([None, 2, 9]))
@settings(max_examples=30, deadline=None)
def test_agrees_with_the_sums_of_the_papers(seed, levels, patients):
    scores, targets, whose = cohort(seed, levels=levels, patients=patients)
    found, (theta, covariance) = areas(scores, targets, whose), slow(scores, targets, whose)
    np.testing.assert_allclose(found.auroc, theta, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(found.auroc, [roc_auc_score(targets, row) for row in scores], atol=1e-12)


def test_with_one_image_a_patient_it_is_delongs_sample_covariance():
    scores, targets, _ = cohort(3)
    positive, negative = scores[:, targets == 1], scores[:, targets == 0]
    wins = (positive[:, :, None] > negative[:, None]) + 0.5 * (positive[:, :, None] == negative[:, None])
    expected = np.cov(wins.mean(2)) / positive.shape[1] + np.cov(wins.mean(1)) / negative.shape[1]
    np.testing.assert_allclose(areas(scores, targets).covariance, expected, atol=1e-12)


def test_images_of_a_patient_that_are_copies_add_nothing():
    scores, targets, whose = cohort(4, n=200)
    once = difference(areas(scores, targets, whose))
    thrice = difference(areas(np.repeat(scores, 3, 1), np.repeat(targets, 3), np.repeat(whose, 3)))
    naive = difference(areas(np.repeat(scores, 3, 1), np.repeat(targets, 3)))
    assert (thrice.difference, thrice.low, thrice.p) == pytest.approx((once.difference, once.low, once.p))
    assert naive.p < once.p


def test_the_error_is_that_of_resampled_patients():
    scores, targets, whose = cohort(5, n=600, levels=10_000, patients=150)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(150, np.full(150, 1 / 150), 2000)[:, whose].astype(float)
    drawn = auroc(scores[1], targets, counts) - auroc(scores[0], targets, counts)
    tested = difference(areas(scores, targets, whose))
    assert (tested.high - tested.low) / (2 * norm.ppf(0.975)) == pytest.approx(drawn.std(), rel=0.1)


def test_known_p():
    scores, targets, _ = cohort(6, n=300)
    found = areas(scores, targets)
    contrast = np.array([-1, 1])
    z = contrast @ found.auroc / np.sqrt(contrast @ found.covariance @ contrast)
    assert difference(found).p == pytest.approx(2 * norm.cdf(-abs(z)))


def test_models_that_rank_alike_do_not_differ():
    scores, targets, _ = cohort(7)
    same = difference(areas(np.stack([scores[0], np.exp(scores[0])]), targets))
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


@pytest.mark.filterwarnings("error")
def test_what_is_not_defined_is_nan():
    scores, targets, _ = cohort(8)
    assert np.isnan(areas(scores, np.ones(40)).auroc).all()
    assert np.isnan(difference(areas(scores, np.zeros(40))).p)
    single = areas(scores, np.arange(40) == 3)
    assert np.isfinite(single.auroc).all()
    assert np.isnan(single.covariance).all()
    assert np.isnan(areas(scores, targets, np.zeros(40, np.int64)).covariance).all()  # one patient
    apart = difference(areas(np.stack([targets * 0.0, targets * 1.0]), targets))
    assert apart.difference == 0.5
    assert np.isnan(apart.p)
    assert np.isnan(areas(np.zeros((2, 0)), np.zeros(0)).auroc).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"scores \(2, 3\), targets \(4,\)"):
        areas(np.zeros((2, 3)), np.zeros(4))


def test_p_of_resampled_differences():
    assert two_sided_p(np.zeros(99)) == 1.0
    assert two_sided_p(np.full(99, 0.2)) == pytest.approx(0.02)
    assert two_sided_p(np.r_[np.full(10, -1.0), np.full(89, 1.0)]) == pytest.approx(0.22)
    assert two_sided_p(np.r_[np.full(10, 1.0), np.full(89, -1.0), np.nan]) == pytest.approx(0.22)
    assert two_sided_p(np.array([1e-17, -1e-17])) == 1.0
    assert np.isnan(two_sided_p(np.zeros(0)))
