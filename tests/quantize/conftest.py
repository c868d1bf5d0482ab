"""Images for quantizing small models, and a model that is taken apart by many tests."""

import numpy as np
import pytest

from radvit.quantize.export import export_onnx
from radvit.quantize.quiet import without_chatter
from radvit.quantize.recipes import Workshop
from radvit.records import Task


@pytest.fixture(scope="session")
def images():
    """Smooth images with a bright spot, such as a radiograph is made of; (12, 1, 32, 32)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    made = []
    for _ in range(12):
        cx, cy, width = (*rng.uniform(6, 26, 2), rng.uniform(2, 5))
        spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
        made.append(y / 32 - 0.5 + 2 * spot + 0.05 * rng.standard_normal((32, 32)))
    return np.array(made, np.float32)[:, None]


@pytest.fixture(scope="session")
def exported_models(bundle, tmp_path_factory):
    """A small bundle of each task, and its FP32 model in ONNX."""
    made = {}
    for task in Task:
        folder = tmp_path_factory.mktemp(task.value)
        saved = bundle(folder / "bundle", task, ("a", "b"))
        export_onnx(saved.model(), folder / "model.onnx")
        made[task] = (saved, folder / "model.onnx")
    return made


@pytest.fixture
def workshop(exported_models, images, tmp_path):
    """Makes a workshop for a task's model."""

    def opened(task=Task.DETECT):
        with without_chatter():
            return Workshop.open(exported_models[task][1], tmp_path, images[:8])

    return opened
