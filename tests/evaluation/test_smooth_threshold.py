import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import gaussian_kde, norm

from radvit.evaluation.operating_point import ThresholdRule, image_threshold
from radvit.evaluation.smooth_threshold import bandwidth, smooth_youden


def test_mirrored_classes_part_in_the_middle() -> None:
    spread = norm.ppf((np.arange(200) + 0.5) / 200)
    assert smooth_youden(expit(2 + spread), expit(-2 - spread)) == pytest.approx(0.5, abs=1e-6)


def test_no_threshold_is_better_by_scipys_kernel_estimate() -> None:
    rng = np.random.default_rng(0)
    sick, well = rng.normal(1, 1.5, 60), rng.normal(-1, 0.5, 40)

    def gain(cut: float) -> float:
        below = [
            gaussian_kde(v, bw_method=bandwidth(v) / v.std(ddof=1)).integrate_box_1d(-np.inf, cut) for v in (well, sick)
        ]
        return float(below[0] - below[1])

    chosen = gain(float(logit(smooth_youden(expit(sick), expit(well)))))
    assert chosen >= max(gain(cut) for cut in np.linspace(-4, 6, 401)) - 1e-5


def test_it_moves_less_between_samples_than_the_empirical_one() -> None:
    rng = np.random.default_rng(1)
    smooth, empirical = [], []
    for _ in range(40):
        scores = expit(np.r_[rng.normal(1.5, 1.5, 120), rng.normal(-1.5, 1, 40)])
        targets = np.r_[np.ones(120), np.zeros(40)]
        smooth.append(logit(image_threshold(scores, targets, ThresholdRule.SMOOTH_YOUDEN)))
        empirical.append(logit(image_threshold(scores, targets, ThresholdRule.YOUDEN)))
    assert np.std(smooth) < 0.7 * np.std(empirical)


def test_one_score_a_class_is_parted_in_the_middle_of_the_log_odds() -> None:
    assert smooth_youden(np.array([expit(3.0)]), np.array([expit(-1.0)])) == pytest.approx(expit(1.0))


def test_scores_of_0_and_1_and_equal_ones_give_a_threshold() -> None:
    assert 0 < smooth_youden(np.ones(3), np.zeros(4)) < 1
    assert smooth_youden(np.full(3, 0.2), np.full(2, 0.2)) == pytest.approx(0.2)


def test_the_bandwidth_is_silvermans() -> None:
    assert bandwidth(np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx(0.9 * 1.25**0.5 * 4**-0.2)  # deviation 1.118
    assert bandwidth(np.array([0.0, 4.0, 4.5, 5.0, 10.0])) == pytest.approx(0.9 * (1 / 1.34) * 5**-0.2)


def test_half_of_the_values_equal_leaves_the_deviation() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 5.0])
    assert bandwidth(values) == pytest.approx(0.9 * 2.0 * 5**-0.2)
