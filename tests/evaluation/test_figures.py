import numpy as np
import pytest
from sklearn import metrics as sk

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.figures import Result, confusion_tables, froc_figure, interval_words, roc_points
from radvit.evaluation.operating_point import OperatingPoint
from radvit.metrics.froc import FP_RATES, sensitivity_at
from radvit.metrics.matching import CENTER_INSIDE


def test_roc_points_agree_with_sklearn(make):
    predictions = make()
    scores, targets = np.round(predictions.scores[:, 0], 1), predictions.targets[:, 0]
    fpr, recall, precision = roc_points(scores, targets)
    expected_fpr, expected_recall, _ = sk.roc_curve(targets, scores, drop_intermediate=False)
    np.testing.assert_allclose(fpr, expected_fpr)
    np.testing.assert_allclose(recall, expected_recall)
    expected_precision, _, _ = sk.precision_recall_curve(targets, scores)
    np.testing.assert_allclose(precision[1:], expected_precision[:-1][::-1])
    assert [len(x) for x in roc_points(np.zeros(0), np.zeros(0))] == [1, 1, 1]


def test_confusion_counts_agree_with_sklearn(make):
    predictions = make()
    ((title, names, counts),) = confusion_tables(predictions, OperatingPoint((0.6,)))
    called = predictions.scores[:, 0] >= 0.6
    np.testing.assert_array_equal(counts, sk.confusion_matrix(predictions.targets[:, 0], called))
    assert (title, names) == ("score ≥ 0.600", ("no nodule", "nodule"))


def test_the_froc_figure_draws_the_curve_and_its_points(make):
    predictions = make()
    figure = froc_figure([Result("ViT", predictions, {})], CENTER_INSIDE, np.random.default_rng(0), 20)
    _, points = figure.axes[0].lines
    np.testing.assert_allclose(points.get_xdata(), FP_RATES)
    np.testing.assert_allclose(points.get_ydata(), sensitivity_at(predictions.boxes, predictions.truth))
    assert "60 images" in figure.axes[0].texts[0].get_text()
    assert figure.axes[0].get_legend().get_frame_on()  # a poor model's curve runs through the legend's corner


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric(0.5, 0.25, 0.75, 1, 1, 1), "0.500 [0.250, 0.750]"),
        (Metric(0.5, np.nan, np.nan, 1, 1, 1), "0.500"),
        (Metric(np.nan, np.nan, np.nan, 1, 1, 1), "n/a"),
        (None, "n/a"),
    ],
)
def test_interval_words(metric, words):
    assert interval_words(metric) == words
