"""A model that merges tokens, exported and quantized: shapes are fixed given the share, whatever merges with what."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from radvit.bundle import load_bundle, save_bundle
from radvit.inference.engine import BundleDetector, OnnxEngine, open_engine, open_onnx
from radvit.models.outputs import arrays
from radvit.models.spec import output_names
from radvit.quantize.export import export_onnx
from radvit.quantize.int8 import quantize
from radvit.records import Task


@pytest.fixture(scope="module", params=list(Task), ids=lambda task: task.value)
def merging(request, bundle, tmp_path_factory):
    """A saved model of each task whose tokens merge."""
    folder = tmp_path_factory.mktemp("merging")
    plain = bundle(folder / "plain", request.param, ("a", "b"))
    saved = replace(plain, folder=folder / "merging", spec=plain.spec.merging(0.3))
    return save_bundle(saved, replace(saved, folder=plain.folder).model(), "# merging\n")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    spots = [np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 20) for cx, cy in rng.uniform(6, 26, (12, 2))]
    noisy = [y / 32 - 0.5 + 2 * spot + 0.05 * rng.standard_normal((32, 32)) for spot in spots]
    return np.array(noisy, np.float32)[:, None]


def test_an_export_agrees_for_any_batch(merging, images, tmp_path):
    model, names = merging.model(), output_names(merging.spec)
    export_onnx(model, tmp_path / "model.onnx")
    engine = OnnxEngine(tmp_path / "model.onnx", names, threads=1)
    for count in (1, 5, 12):
        found = engine(images[:count])
        with torch.inference_mode():
            expected = arrays(model(torch.from_numpy(images[:count])))
        for name in names:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-3 * float(expected[name].std()), rtol=1e-3)
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    assert not {"NonZero", "Unique", "Loop", "If", "Compress"} & {node.op_type for node in graph.node}


def test_merging_changes_what_the_model_says(merging, images):
    plain = replace(merging, spec=merging.spec.merging(0.0)).model()
    with torch.inference_mode():
        less, whole = merging.model()(torch.from_numpy(images)), plain(torch.from_numpy(images))
    for name in output_names(merging.spec):
        assert less[name].shape == whole[name].shape
        assert not torch.equal(less[name], whole[name])


def test_int8_says_what_fp32_says(merging, images):
    quantize(merging, images[:8])
    fp32, quantized = open_engine(merging, "fp32")(images), open_engine(merging, "int8")(images)
    for name, value in quantized.items():
        assert not np.array_equal(value, fp32[name])
        assert np.abs(value - fp32[name]).mean() < 0.1 * fp32[name].std(), name
    scores, boxes = BundleDetector(merging, open_onnx(merging, "int8", threads=1))(images)
    assert scores.shape == (12, 2)
    assert len(boxes) == 12


def test_a_bundle_remembers_it_and_an_older_one_merges_nothing(merging):
    assert load_bundle(merging.folder).spec.backbone.merge_tokens == 0.3
    record = merging.spec.to_dict()
    del record["backbone"]["merge_tokens"]
    assert type(merging.spec).from_dict(record).backbone.merge_tokens == 0.0
