import numpy as np
import pytest
from scipy import stats

from radvit.metrics import bootstrap
from radvit.metrics.bootstrap import clustered_interval, collect, first_appearance, image_weights, percentile_interval
from radvit.metrics.classification import auroc, share


def all_weights(patients, seed, n_boot):
    return np.concatenate(list(image_weights(patients, np.random.default_rng(seed), n_boot)))


def test_images_of_a_patient_are_drawn_together_and_patients_add_up():
    patients = ["b", "a", "b", "c", "a", "a"]
    weights = all_weights(patients, 0, 500)
    assert weights.shape == (500, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(1), 3.0)
    assert weights.mean(0) == pytest.approx(np.ones(6), abs=0.1)


def test_the_draw_depends_neither_on_names_nor_on_chunks(monkeypatch):
    expected = all_weights(["b", "a", "b", "c"], 3, 100)
    np.testing.assert_array_equal(all_weights(["x", "z", "x", "y"], 3, 100), expected)
    monkeypatch.setattr(bootstrap, "CELLS_AT_ONCE", 30)
    np.testing.assert_array_equal(all_weights(["b", "a", "b", "c"], 3, 100), expected)


def test_the_interval_of_a_mean_is_close_to_the_normal_one():
    rng = np.random.default_rng(1)
    x = rng.normal(5, 2, 400)
    low, high = clustered_interval(lambda w: {"m": share(x, np.ones(400), w)}, [str(i) for i in range(400)], rng, 4000)[
        "m"
    ]
    half = stats.norm.ppf(0.975) * x.std() / 20
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.03)


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(2)
    x = np.repeat(rng.normal(0, 1, 50), 8)

    def width(patients):
        low, high = clustered_interval(lambda w: {"m": share(x, np.ones(400), w)}, patients, np.random.default_rng(0))[
            "m"
        ]
        return high - low

    together, apart = width([str(i // 8) for i in range(400)]), width([str(i) for i in range(400)])
    assert together / apart == pytest.approx(np.sqrt(8), rel=0.15)


def test_undefined_resamples_are_left_out():
    scores, targets = np.array([0.1, 0.9, 0.2]), np.array([0, 1, 0])
    drawn = collect(lambda w: {"auroc": auroc(scores, targets, w)}, ["a", "b", "c"], np.random.default_rng(0), 200)[
        "auroc"
    ]
    assert np.isnan(drawn).any()
    assert percentile_interval(drawn) == (1.0, 1.0)
    assert np.isnan(percentile_interval(np.full(5, np.nan))).all()


def test_one_patient_and_no_image():
    interval = clustered_interval(
        lambda w: {"m": share(np.arange(3.0), np.ones(3), w)}, ["a"] * 3, np.random.default_rng(0)
    )
    assert interval == {"m": (1.0, 1.0)}
    assert clustered_interval(lambda w: {"m": w.sum(1)}, [], np.random.default_rng(0)) == {}
    assert first_appearance([]).tolist() == []
