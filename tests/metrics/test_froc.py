"""FROC against a slow loop written from the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.errors import ConfigError, DataError
from radvit.metrics.froc import FP_RATES, at_threshold, cpm, froc_curve, sensitivity_at, tally
from radvit.metrics.matching import HitKind, HitRule
from radvit.records import Boxes, Lesion


def boxes_of(*rows):
    """Rows (x1, y1, x2, y2, score)."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(table[:, :4], table[:, 4], np.zeros(len(table), np.int64))


def random_cohort(seed, n_images=12, levels=20, classes=1):
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(n_images):
        corner = rng.uniform(0, 80, (rng.integers(0, 3), 2))
        truth.append(tuple(Lesion((x, y, x + 20, y + 20), int(rng.integers(0, classes))) for x, y in corner.tolist()))
        near = np.concatenate([corner + rng.normal(0, 6, corner.shape), rng.uniform(0, 80, (rng.integers(0, 5), 2))])
        near = np.concatenate([near, near[: rng.integers(0, 3)] + 1])
        scores = rng.integers(0, levels, len(near)) / levels
        xyxy = np.concatenate([near, near + 20], axis=1).astype(np.float32)
        labels = rng.integers(0, classes, len(near))
        found.append(Boxes(xyxy, scores.astype(np.float32), labels.astype(np.int64)))
    return found, truth


def slow_sensitivity(found, truth, rate):
    """At every score as threshold: hits and false alarms counted one by one; the best sensitivity within the rate."""
    best, n_lesions = 0.0, sum(map(len, truth))
    for threshold in {float(s) for b in found for s in b.scores}:
        hits = alarms = 0
        for b, lesions in zip(found, truth, strict=True):
            free = list(range(len(lesions)))
            for i in sorted(range(len(b)), key=lambda i: -b.scores[i]):
                if b.scores[i] < threshold:
                    continue
                x, y = (b.xyxy[i].astype(float)[:2] + b.xyxy[i].astype(float)[2:]) / 2
                inside = []
                for j, lesion in enumerate(lesions):
                    x1, y1, x2, y2 = lesion.box_px
                    if lesion.label == b.labels[i] and x1 <= x <= x2 and y1 <= y <= y2:
                        inside.append((np.hypot(x - (x1 + x2) / 2, y - (y1 + y2) / 2), j))
                open_to = [j for _, j in sorted(inside) if j in free]
                if open_to:
                    free.remove(open_to[0])
                    hits += 1
                elif not inside:
                    alarms += 1
        if alarms / len(truth) <= rate:
            best = max(best, hits / n_lesions)
    return best


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 10, 10_000]), st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None)
def test_sensitivity_agrees_with_the_definition(seed, levels, classes):
    found, truth = random_cohort(seed, levels=levels, classes=classes)
    if not any(truth):
        return
    expected = [slow_sensitivity(found, truth, rate) for rate in FP_RATES]
    assert sensitivity_at(found, truth) == pytest.approx(expected, abs=1e-12)
    assert cpm(found, truth) == pytest.approx(np.mean(expected), abs=1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_curve_steps_where_the_table_says(seed):
    found, truth = random_cohort(seed, levels=15)
    if not any(truth):
        return
    curve = froc_curve(found, truth)
    assert (np.diff(curve.thresholds) < 0).all()
    for rate, reached in zip(FP_RATES, sensitivity_at(found, truth), strict=True):
        assert curve.sensitivity[curve.fp_per_image <= rate].max(initial=0.0) == pytest.approx(reached)
    for threshold, alarms, hit in zip(curve.thresholds, curve.fp_per_image, curve.sensitivity, strict=True):
        hits, false = at_threshold(found, truth, threshold)
        assert false.sum() / len(truth) == pytest.approx(alarms)
        assert hits.sum() / sum(map(len, truth)) == pytest.approx(hit)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_weighting_equals_the_metric_on_the_repeated_images(seed):
    found, truth = random_cohort(seed, levels=8)
    weights = np.random.default_rng(seed).integers(0, 4, len(truth))
    again = np.repeat(np.arange(len(truth)), weights)
    both = np.stack([weights, np.ones(len(truth))])
    many = tally(found, truth).sensitivity_at(FP_RATES, both)
    assert many.shape == (2, 7)
    resampled = sensitivity_at([found[i] for i in again], [truth[i] for i in again])
    np.testing.assert_allclose(many[0], resampled, atol=1e-12)
    np.testing.assert_allclose(many[1], sensitivity_at(found, truth), atol=1e-12)


LESION = Lesion((10, 10, 30, 30))


def test_the_lowest_threshold_is_included():
    found = [boxes_of((12, 12, 28, 28, 0.1), (60, 60, 70, 70, 0.9))]
    curve = froc_curve(found, [(LESION,)])
    np.testing.assert_allclose(curve.thresholds, [0.9, 0.1], atol=1e-6)
    assert curve.sensitivity.tolist() == [0.0, 1.0]
    assert curve.fp_per_image.tolist() == [1.0, 1.0]
    assert sensitivity_at(found, [(LESION,)], (0.5, 1.0)).tolist() == [0.0, 1.0]


def test_repeats_are_neither_hits_nor_alarms_and_negatives_count_as_images():
    found = [boxes_of((12, 12, 28, 28, 0.9), (11, 11, 29, 29, 0.8)), boxes_of((0, 0, 5, 5, 0.95))]
    curve = froc_curve(found, [(LESION,), ()])
    assert curve.fp_per_image.tolist() == [0.5, 0.5, 0.5]
    assert curve.sensitivity.tolist() == [0.0, 1.0, 1.0]


def test_equal_scores_are_one_threshold():
    found = [boxes_of((12, 12, 28, 28, 0.5), (60, 60, 70, 70, 0.5))]
    assert len(froc_curve(found, [(LESION,)]).thresholds) == 1
    assert sensitivity_at(found, [(LESION,)], (0.5, 1)).tolist() == [0.0, 1.0]


def test_one_detection_finds_one_lesion_and_another_label_finds_none():
    twins = (Lesion((0, 0, 20, 20)), Lesion((5, 5, 25, 25)))
    assert sensitivity_at([boxes_of((4, 4, 18, 18, 0.9))], [twins], (1,)).tolist() == [0.5]
    other = boxes_of((12, 12, 28, 28, 0.9))
    other = Boxes(other.xyxy, other.scores, np.ones(1, np.int64))
    assert sensitivity_at([other], [(LESION,)], (1,)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        (HitRule(), 1),
        (HitRule(HitKind.IOU, 0.6), 1),
        (HitRule(HitKind.IOU, 0.7), 0),
        (HitRule(HitKind.DISTANCE, 1.5), 1),
        (HitRule(HitKind.DISTANCE, 1.4), 0),
    ],
)
def test_hit_rules(rule, hits):
    found = [boxes_of((13, 13, 29, 29, 0.9))]  # IoU 256/400 = 0.64, centres sqrt(2) apart
    assert at_threshold(found, [(LESION,)], 0.5, rule)[0].tolist() == [hits]
    assert rule.kind.value in {"center", "iou", "distance"}
    assert rule.words()


@pytest.mark.parametrize(("mm", "hits"), [(1.0, 0), (1.4, 1)])
def test_a_distance_in_millimetres_goes_by_rows_and_columns(mm, hits):
    """Centres 1 px apart either way; rows 0.5 mm and columns 1.2 mm apart: 1.3 mm."""
    found, rule = [boxes_of((13, 13, 29, 29, 0.9))], HitRule(HitKind.DISTANCE_MM, mm)
    spacing = np.array([[0.5, 1.2]])
    assert at_threshold(found, [(LESION,)], 0.5, rule, spacing)[0].tolist() == [hits]
    assert tally(found, [(LESION,)], rule, spacing).sensitivity_at((1,)).tolist() == [hits]
    assert froc_curve(found, [(LESION,)], rule, spacing).sensitivity.tolist() == [hits]
    beside = HitRule(HitKind.DISTANCE_MM, 0.7)  # one row of 0.5 mm apart, no column: rows and columns not exchanged
    below = [boxes_of((12, 13, 28, 29, 0.9))]
    assert at_threshold(below, [(LESION,)], 0.5, beside, spacing)[0].tolist() == [1]
    assert at_threshold(below, [(LESION,)], 0.5, beside, spacing[:, ::-1])[0].tolist() == [0]


def test_millimetres_equal_pixels_where_each_is_one():
    rng = np.random.default_rng(3)
    found = [boxes_of(*((x, y, x + 9, y + 9, s) for x, y, s in rng.uniform(0, 1, (20, 3)) * (50, 50, 1)))] * 4
    truth = [(LESION, Lesion((30.0, 5.0, 40.0, 15.0)))] * 3 + [()]
    spacing = np.array([[1.0, 1.0]] * 3 + [[np.nan, np.nan]])  # an image without lesions needs none
    in_px, in_mm = (
        tally(found, truth, HitRule(kind, 6), spacing).sensitivity_at((1, 2, 8))
        for kind in (HitKind.DISTANCE, HitKind.DISTANCE_MM)
    )
    np.testing.assert_array_equal(in_px, in_mm)
    for unknown in (None, spacing[::-1]):
        with pytest.raises(
            DataError, match=r"[13] images? with lesions without pixel spacing; expected one in each, or"
        ):
            tally(found, truth, HitRule(HitKind.DISTANCE_MM, 6), unknown)


def test_nothing_found_and_nothing_to_find():
    empty = [Boxes.empty()]
    assert sensitivity_at(empty, [(LESION,)]).tolist() == [0.0] * 7
    assert np.isnan(sensitivity_at([boxes_of((0, 0, 5, 5, 0.5))], [()])).all()
    assert np.isnan(sensitivity_at([], [])).all()
    assert len(froc_curve(empty, [(LESION,)]).thresholds) == 0


def test_wrong_arguments_say_what_was_expected():
    with pytest.raises(DataError, match="detections of 1 images and lesions of 2"):
        sensitivity_at([Boxes.empty()], [(), ()])
    with pytest.raises(ConfigError, match=r"value in \(0, 1\]"):
        HitRule(HitKind.IOU, 0.0)
    with pytest.raises(ConfigError, match="pixels above 0"):
        HitRule(HitKind.DISTANCE)
    with pytest.raises(ConfigError, match="millimetres above 0"):
        HitRule(HitKind.DISTANCE_MM)
    rule = HitRule(HitKind.DISTANCE_MM, 5)
    assert HitRule.from_dict(rule.to_dict()) == rule
    assert rule.words().endswith("at most 5 mm apart")
