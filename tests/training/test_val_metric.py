import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multilabel_auroc

from radvit.models.decode import DecodeSpec, decode
from radvit.records import Boxes, Lesion, Task
from radvit.training.val_metric import NAMES, Seen, lesions, seen, val_metric


def test_auroc_is_torchmetrics_macro_mean_over_classes():
    rng = np.random.default_rng(0)
    scores, targets = rng.random((50, 3)).astype(np.float32), rng.integers(0, 2, (50, 3))
    images = [Seen(i, s, t.astype(np.float32)) for i, (s, t) in enumerate(zip(scores, targets, strict=True))]
    expected = multilabel_auroc(torch.from_numpy(scores), torch.from_numpy(targets), 3, average="macro")
    assert val_metric(Task.CLASSIFY, images) == pytest.approx(float(expected), abs=1e-6)
    assert val_metric(Task.CLASSIFY, images + images[:7]) == val_metric(Task.CLASSIFY, images)  # padded by processes


def test_cpm_of_a_perfect_and_of_a_blind_detector():
    lesion = Lesion((2.0, 2.0, 6.0, 6.0))
    hit = Boxes(np.array([[2.0, 2.0, 6.0, 6.0]], np.float32), np.array([0.9], np.float32), np.array([0]))
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    healthy = Seen(1, boxes=none)
    assert val_metric(Task.DETECT, [Seen(0, boxes=hit, lesions=(lesion,)), healthy]) == 1
    assert val_metric(Task.DETECT, [Seen(0, boxes=none, lesions=(lesion,)), healthy]) == 0


def test_what_is_not_defined_is_nan():
    one = Seen(0, np.array([0.3], np.float32), np.array([1.0], np.float32))
    assert math.isnan(val_metric(Task.CLASSIFY, [one]))
    assert math.isnan(val_metric(Task.DETECT, []))
    assert set(NAMES) == set(Task)


def test_a_batch_is_taken_apart_into_images(spec):
    batch = {
        "index": torch.tensor([4, 2]),
        "targets": torch.tensor([[1.0], [0.0]]),
        "boxes": [torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.zeros(0, 4)],
        "labels": [torch.tensor([0]), torch.zeros(0, dtype=torch.int64)],
    }
    first, second = seen(spec(Task.CLASSIFY), False, {"logits": torch.tensor([[0.0], [100.0]])}, batch)
    assert (first.index, first.scores.tolist(), first.targets.tolist()) == (4, [0.5], [1.0])
    assert (second.index, second.scores.tolist()) == (2, [1.0])
    torch.manual_seed(0)
    outputs = {"score_4": torch.randn(2, 1, 8, 8), "box_4": torch.rand(2, 4, 8, 8) * 8}
    found = seen(spec(Task.DETECT), False, outputs, batch)
    assert found[0].lesions == (Lesion((1.0, 2.0, 3.0, 4.0), 0),) == lesions(batch["boxes"][0], batch["labels"][0])
    assert found[1].lesions == ()
    expected = decode(outputs, (4,), DecodeSpec())
    np.testing.assert_array_equal(found[1].boxes.xyxy, expected[1].xyxy)
