import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.errors import ConfigError
from radvit.evaluation.operating_point import (
    OperatingPoint,
    ThresholdRule,
    choose,
    image_threshold,
    specificity_threshold,
)
from radvit.metrics.froc import at_threshold
from radvit.metrics.matching import CENTER_INSIDE, HitKind, HitRule
from radvit.records import Boxes, Task

EMPIRICAL = [ThresholdRule.YOUDEN, ThresholdRule.ACCURACY]


def gain(scores, targets, threshold, rule):
    called = scores >= threshold
    if rule is ThresholdRule.ACCURACY:
        return (called == targets).mean()
    return called[targets].mean() + (~called)[~targets].mean()


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 1000]), st.sampled_from(EMPIRICAL))
@settings(max_examples=60, deadline=None)
def test_no_other_threshold_is_better(seed, levels, rule):
    rng = np.random.default_rng(seed)
    scores, targets = rng.integers(0, levels, 30) / levels, rng.random(30) < 0.3
    targets[:2] = True, False
    chosen = gain(scores, targets, image_threshold(scores, targets, rule), rule)
    assert chosen == pytest.approx(max(gain(scores, targets, t, rule) for t in [*scores, 2.0]))


def test_the_threshold_stands_in_the_middle_of_the_gap():
    scores, targets = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    for rule in EMPIRICAL:
        assert image_threshold(scores, targets, rule) == pytest.approx(0.4)


def test_rules_differ_where_classes_are_unequal():
    scores = np.array([0.1, 0.3, 0.4, 0.6, 0.7, 0.2, 0.8])
    targets = np.array([0, 0, 0, 0, 0, 1, 1])
    assert (
        gain(scores, targets > 0, image_threshold(scores, targets, ThresholdRule.ACCURACY), ThresholdRule.ACCURACY)
        == 6 / 7
    )


@pytest.mark.parametrize("targets", [[0, 0], [1, 1]])
def test_one_class_leaves_a_half(targets):
    assert image_threshold(np.array([0.1, 0.9]), np.array(targets), ThresholdRule.YOUDEN) == 0.5
    assert image_threshold(np.zeros(0), np.zeros(0), ThresholdRule.YOUDEN) == 0.5


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 1000]), st.sampled_from([0.05, 0.5, 0.9, 1.0]))
@settings(max_examples=80, deadline=None)
def test_a_fixed_specificity_is_the_lowest_threshold_of_a_slow_loop(seed, levels, least):
    rng = np.random.default_rng(seed)
    scores, targets = (rng.integers(0, levels, 30) / levels).astype(np.float32), rng.random(30) < 0.3
    targets[0] = False
    chosen = specificity_threshold(scores, targets, least)
    lower = None
    for at in sorted({*scores.tolist(), 2.0}):
        enough = sum(score < at for score in scores[~targets].tolist()) >= least * (~targets).sum() - 1e-9
        if enough:
            break
        lower = at
    assert [s >= chosen for s in scores.tolist()] == [s >= at for s in scores.tolist()]
    assert lower is None or lower < chosen


def test_a_fixed_specificity_at_the_ends():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert specificity_threshold(scores, np.array([0, 0, 0, 1]), 0.5) == pytest.approx(0.25)
    assert specificity_threshold(scores, np.array([1, 0, 1, 0]), 1.0) > 0.4
    assert specificity_threshold(scores, np.array([1, 1, 0, 0]), 0.01) == pytest.approx(0.35)
    assert specificity_threshold(scores, np.ones(4), 0.9) == 0.5
    assert specificity_threshold(np.zeros(0), np.zeros(0), 0.9) == 0.5
    assert specificity_threshold(np.array([0.7]), np.array([0]), 0.9) > 0.7
    tied = specificity_threshold(np.full(6, 0.7, np.float32), np.array([0, 0, 0, 1, 1, 1]), 0.2)
    assert tied > np.float32(0.7)  # all or none


def test_what_was_asked_for_travels_with_the_thresholds(make):
    rule = HitRule(HitKind.IOU, 0.3)
    point = choose(make(), ThresholdRule.SPECIFICITY, rule, 0.5, 0.9)
    assert (point.hit_rule, point.specificity, point.fp_per_image) == (rule, 0.9, 0.5)
    assert OperatingPoint.from_dict(point.to_dict()) == point
    assert point.rule_words() == "specificity of at least 0.9"
    assert choose(make(), hit_rule=rule).box_threshold != choose(make()).box_threshold
    before = {k: v for k, v in choose(make()).to_dict().items() if k not in ("hit_rule", "specificity")}
    assert OperatingPoint.from_dict(before) == choose(make())  # as an earlier version wrote it
    for rule, specificity in ((ThresholdRule.SPECIFICITY, None), (ThresholdRule.YOUDEN, 0.9)):
        with pytest.raises(ConfigError, match=r"expected one in \(0, 1\] with specificity"):
            choose(make(4), rule, specificity=specificity)


@pytest.mark.parametrize("fp_per_image", [0.25, 1.0, 3.0])
def test_the_box_threshold_is_the_lowest_within_the_limit(make, fp_per_image):
    predictions = make()
    threshold = choose(predictions, fp_per_image=fp_per_image).box_threshold
    lower = np.concatenate([b.scores for b in predictions.boxes]).astype(float)
    lower = lower[lower < threshold].max()
    assert at_threshold(predictions.boxes, predictions.truth, threshold)[1].mean() <= fp_per_image
    assert at_threshold(predictions.boxes, predictions.truth, lower)[1].mean() > fp_per_image


def test_box_thresholds_at_the_ends(make):
    from dataclasses import replace

    predictions = make(6)
    everything = choose(predictions, fp_per_image=1000).box_threshold
    assert everything == min(float(b.scores.min()) for b in predictions.boxes)
    nothing = replace(predictions, boxes=(Boxes.empty(),) * 6)
    assert choose(nothing).box_threshold == 0.5
    false = Boxes(np.array([[0, 0, 5, 5]] * 2, np.float32), np.array([0.7, 0.7], np.float32), np.zeros(2, np.int64))
    alarms = replace(predictions, boxes=(false,) * 6)
    assert choose(alarms).box_threshold > np.float32(0.7)
    assert at_threshold(alarms.boxes, alarms.truth, choose(alarms).box_threshold, CENTER_INSIDE)[1].sum() == 0


def test_round_trip_and_errors(make):
    for predictions in (make(), make(task=Task.CLASSIFY)):
        point = choose(predictions, ThresholdRule.ACCURACY)
        assert OperatingPoint.from_dict(point.to_dict()) == point
    assert point.box_threshold is None
    with pytest.raises(ConfigError, match="fp_per_image 0"):
        choose(make(4), fp_per_image=0)
