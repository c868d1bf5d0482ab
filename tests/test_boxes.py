import math

import numpy as np
import pytest

from radvit.boxes import iou, soft_nms
from radvit.records import Boxes


def drawn(n: int, classes: int = 2, seed: int = 0) -> Boxes:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 30, (n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(5, 20, (n, 2))], 1).astype(np.float32)
    return Boxes(xyxy, rng.uniform(0.05, 1, n).astype(np.float32), rng.integers(0, classes, n))


def slow(boxes: Boxes, sigma: float, least: float, most: int) -> list[tuple[int, float]]:
    """The paper's loop, a box at a time: index and new score."""
    left = {i: float(boxes.scores[i]) for i in range(len(boxes))}
    overlap, kept = iou(boxes.xyxy, boxes.xyxy), []
    while left and len(kept) < most:
        best = max(left, key=lambda i: left[i])
        score = left.pop(best)
        if score < least:
            break
        kept.append((best, score))
        for i in left:
            if boxes.labels[i] == boxes.labels[best]:
                left[i] *= math.exp(-(float(overlap[best, i]) ** 2) / sigma)
    return kept


@pytest.mark.parametrize(("sigma", "least", "most"), [(0.5, 0.0, 99), (0.1, 0.2, 99), (2.0, 0.01, 5)])
def test_soft_suppression_is_the_papers(sigma, least, most):
    boxes = drawn(25)
    before = boxes.scores.copy()
    found = soft_nms(boxes, sigma, least, most)
    expected = slow(boxes, sigma, least, most)
    np.testing.assert_array_equal(found.xyxy, boxes.xyxy[[i for i, _ in expected]])
    np.testing.assert_array_equal(found.labels, boxes.labels[[i for i, _ in expected]])
    np.testing.assert_allclose(found.scores, [score for _, score in expected], rtol=1e-5)
    np.testing.assert_array_equal(boxes.scores, before)


def test_soft_suppression_of_none_and_of_one():
    assert len(soft_nms(Boxes.empty(), 0.5, 0.0, 9)) == 0
    one = drawn(1)
    np.testing.assert_array_equal(soft_nms(one, 0.5, 0.0, 9).scores, one.scores)
    assert len(soft_nms(one, 0.5, 1.1, 9)) == 0
