import numpy as np
import pytest

from radvit.errors import DataError
from radvit.experiment.compare import compare


def results(intervals=None, **metrics):
    told = {}
    for name, values in metrics.items():
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        told[name] = {"mean": float(np.mean(values)), "sd": sd, "n_seeds": len(values)}
    return {"metrics": told, **({"intervals": intervals} if intervals else {})}


def test_a_mean_is_expected_where_another_three_seeds_would_fall():
    old = results(auroc=[0.90, 0.92, 0.94])
    (row,) = compare(old, results(auroc=[0.95, 0.95, 0.95]))
    half = 4.302653 * 0.02 * (2 / 3) ** 0.5  # the 97.5 % quantile of Student's t with 2 degrees of freedom
    assert (row.low, row.high) == pytest.approx((0.92 - half, 0.92 + half), abs=1e-6)
    assert (row.difference, row.inside) == (pytest.approx(0.03), True)
    (row,) = compare(old, results(auroc=[1.0, 1.0, 1.0]))
    assert not row.inside


def test_the_expected_range_holds_95_of_100_means():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        old, new = rng.normal(0.9, 0.01, (2, 3))
        inside += compare(results(auroc=old), results(auroc=new))[0].inside
    assert 0.92 <= inside / 400 <= 0.98


def test_one_seed_is_held_against_its_own_interval():
    old = results({"auroc": [[0.85, 0.95]]}, auroc=[0.9])
    assert compare(old, results(auroc=[0.94]))[0].inside
    assert not compare(old, results(auroc=[0.84]))[0].inside
    for nothing in (None, {"auroc": [[None, None]]}):
        with pytest.raises(DataError, match="one seed without an interval"):
            compare(results(nothing, auroc=[0.9]), results(auroc=[0.9]))


def test_the_same_numbers_are_inside_even_where_seeds_agree():
    old = results(sensitivity=[1.0, 1.0, 1.0])
    assert compare(old, results(sensitivity=[1.0, 1.0, 1.0]))[0].inside
    assert not compare(old, results(sensitivity=[1.0, 1.0, 0.99]))[0].inside


def test_some_metrics_can_decide_alone():
    old, new = results(a=[1.0, 1.0], b=[1.0, 1.0]), results(a=[1.0, 1.0], b=[0.0, 0.0])
    assert [row.metric for row in compare(old, new, ["a"])] == ["a"]
    with pytest.raises(DataError, match="metric c: no value in both; the recorded ones are a, b"):
        compare(old, new, ["c"])
    with pytest.raises(DataError, match="metric b"):
        compare(old, results(a=[1.0, 1.0]))
