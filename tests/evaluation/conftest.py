"""An invented cohort whose detector is good but not perfect."""

import numpy as np
import pytest

from radvit.evaluation.predictions import Predictions
from radvit.records import Boxes, Lesion, Task


def make_predictions(n_images=60, seed=0, skill=2.0, task=Task.DETECT):
    """skill: how far scores of hits stand above those of false alarms. Two images a study, three or so a patient."""
    rng = np.random.default_rng(seed)
    boxes, truth = [], []
    for _ in range(n_images):
        corner = rng.uniform(100, 1800, (rng.integers(0, 3), 2))
        side = rng.uniform(30, 120, len(corner))
        lesions = [(x, y, x + s, y + s) for (x, y), s in zip(corner.tolist(), side.tolist(), strict=True)]
        truth.append(tuple(Lesion(box, 0, size_mm=(box[2] - box[0]) * 0.2) for box in lesions))
        near = np.array(lesions).reshape(-1, 4) + rng.normal(0, 12, (len(lesions), 1))
        corner = rng.uniform(100, 1800, (rng.integers(2, 8), 2))
        xyxy = np.concatenate([near, np.concatenate([corner, corner + 60], 1)]).astype(np.float32)
        z = np.r_[rng.normal(skill, 1.2, len(near)), rng.normal(-1.5, 1.2, len(corner))]
        boxes.append(Boxes(xyxy, (1 / (1 + np.exp(-z))).astype(np.float32), np.zeros(len(z), np.int64)))
    if task is Task.CLASSIFY:
        scores = np.array([[b.scores.max()] for b in boxes])
        boxes = [Boxes.empty()] * n_images
    else:
        scores = np.array([[b.scores.max()] for b in boxes])
    return Predictions(
        images=tuple(f"2.25.{i}" for i in range(n_images)),
        patients=tuple(f"P-{i // 3}" for i in range(n_images)),
        studies=tuple(f"2.25.9{i // 3}.{i % 3 // 2}" for i in range(n_images)),
        labels=("nodule",),
        scores=scores,
        targets=np.array([[float(bool(lesions))] for lesions in truth]),
        boxes=tuple(boxes),
        truth=tuple(truth) if task is Task.DETECT else ((),) * n_images,
        task=task,
    )


@pytest.fixture
def make():
    return make_predictions
