"""JAFROC's figure of merit against the double loop of the paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.errors import DataError
from radvit.metrics.jafroc import jafroc, ratings
from radvit.records import Boxes, Lesion


def random_cohort(seed, n_images=12, levels=20):
    """Boxes at, beside and away from lesions that lie apart, so that no box hits two."""
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(n_images):
        n = int(rng.integers(0, 3))
        lesions = [(40.0 * i, 0.0, 40.0 * i + 20, 20.0) for i in range(n)]
        truth.append(tuple(Lesion(box) for box in lesions))
        marked = [box for box in lesions for _ in range(rng.integers(0, 3))]
        away = [(200.0 + 9 * i, 50.0, 208.0 + 9 * i, 58.0) for i in range(rng.integers(0, 3))]
        xyxy = np.array(marked + away, np.float32).reshape(-1, 4)
        scores = (rng.integers(0, levels, len(xyxy)) / levels).astype(np.float32)
        found.append(Boxes(xyxy, scores, np.zeros(len(xyxy), np.int64)))
    return found, truth


def slow(found, truth):
    """theta = mean over normal images i and lesions j of psi(X_i, Y_j); what isn't marked is rated minus infinity."""
    x, y = [], []
    for boxes, lesions in zip(found, truth, strict=True):
        if not lesions:
            x.append(max((float(s) for s in boxes.scores), default=-np.inf))
        for lesion in lesions:
            x1, y1, x2, y2 = lesion.box_px
            rated = [-np.inf]
            for box, score in zip(boxes.xyxy, boxes.scores, strict=True):
                if x1 <= (box[0] + box[2]) / 2 <= x2 and y1 <= (box[1] + box[3]) / 2 <= y2:
                    rated.append(float(score))
            y.append(max(rated))
    if not x or not y:
        return float("nan")
    return sum(1.0 if b > a else 0.5 if a == b else 0.0 for a in x for b in y) / (len(x) * len(y))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 10_000]), st.sampled_from([1, 2, 12]))
@settings(max_examples=60, deadline=None)
def test_agrees_with_the_loop(seed, levels, n_images):
    found, truth = random_cohort(seed, n_images, levels)
    assert jafroc(found, truth) == pytest.approx(slow(found, truth), abs=1e-12, nan_ok=True)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_weighting_equals_the_metric_on_the_repeated_images(seed):
    found, truth = random_cohort(seed, levels=6)
    weights = np.random.default_rng(seed).integers(0, 4, len(truth)).astype(float)
    again = np.repeat(np.arange(len(truth)), weights.astype(int))
    many = ratings(found, truth).merit(np.stack([weights, np.ones(len(truth))]))
    resampled = slow([found[i] for i in again], [truth[i] for i in again])
    np.testing.assert_allclose(many, [resampled, slow(found, truth)], atol=1e-12)


LESION = (Lesion((0, 0, 20, 20)),)
HIT = Boxes(np.array([[5, 5, 15, 15]], np.float32), np.array([0.5], np.float32), np.zeros(1, np.int64))
NONE = Boxes.empty()


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([HIT, NONE], [LESION, ()], 1.0),
        ([NONE, HIT], [LESION, ()], 0.0),
        ([HIT, HIT], [LESION, ()], 0.5),
        ([NONE, NONE], [LESION, ()], 0.5),
        ([HIT], [LESION], np.nan),
        ([HIT], [()], np.nan),
        ([], [], np.nan),
    ],
)
def test_known_answers(found, truth, expected):
    assert jafroc(found, truth) == pytest.approx(expected, nan_ok=True)


def test_false_alarms_beside_lesions_do_not_count():
    xyxy = np.array([[5, 5, 15, 15], [90, 90, 99, 99]], np.float32)
    beside = Boxes(xyxy, np.array([0.5, 0.9], np.float32), np.zeros(2, np.int64))
    low = Boxes(HIT.xyxy, np.array([0.4], np.float32), HIT.labels)
    assert jafroc([beside, low], [LESION, ()]) == 1.0


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="detections of 1 images and lesions of 2"):
        jafroc([NONE], [(), ()])
