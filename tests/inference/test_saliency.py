from dataclasses import replace

import numpy as np
import pytest
import torch

from radvit.errors import ConfigError
from radvit.inference.saliency import Explainer, SaliencySpec, weak_boxes, whole_maps
from radvit.models.saliency import Method, saliency_maps
from radvit.models.vit import RadiographViT
from radvit.records import Task

SPEC = SaliencySpec(Method.GRADIENT, threshold=0.5, edge=0.75)


def test_boxes_lie_around_what_stands_out_and_are_scored_by_the_image():
    maps = np.zeros((2, 20, 20), np.float32)
    maps[0, 2:6, 3:8] = 1.0
    maps[0, 12:14, 15:18] = 0.6
    maps[1, 8:10, 8:10] = 0.8
    found = weak_boxes(maps, np.array([0.9, 0.5], np.float32), SPEC)
    assert found.xyxy.tolist() == [[3, 2, 8, 6], [15, 12, 18, 14], [8, 8, 10, 10]]
    np.testing.assert_allclose(found.scores, [0.9, 0.54, 0.4], rtol=1e-6)
    assert found.labels.tolist() == [0, 0, 1]


def test_a_box_keeps_to_the_middle_of_its_part():
    slope = np.tile(np.linspace(0, 1, 11, dtype=np.float32), (11, 1))[None]
    found = weak_boxes(slope, np.ones(1, np.float32), SPEC)
    assert found.xyxy.tolist() == [[8, 0, 11, 11]]  # from 0.75 on


def test_a_flat_map_has_no_boxes():
    for value in (0.0, 0.3):
        maps = whole_maps(torch.full((2, 4, 4), value), 16)
        assert maps.shape == (2, 16, 16)
        assert not maps.any()
        assert len(weak_boxes(maps, np.ones(2, np.float32), SPEC)) == 0


def test_only_the_best_boxes_are_kept():
    maps = np.zeros((1, 9, 9), np.float32)
    maps[0, ::2, ::2] = np.linspace(0.5, 1, 25).reshape(5, 5)
    found = weak_boxes(maps, np.ones(1, np.float32), SaliencySpec(Method.GRADIENT, most=3))
    assert len(found) == 3
    np.testing.assert_allclose(found.scores, np.linspace(0.5, 1, 25)[:-4:-1], rtol=1e-5)


def test_maps_grow_to_the_image_and_reach_from_nought_to_one():
    small = torch.zeros(1, 4, 4)
    small[0, 1, 2] = 5.0
    grown = whole_maps(small, 32)[0]
    assert (grown.min(), grown.max()) == (0, 1)
    y, x = np.unravel_index(grown.argmax(), grown.shape)
    assert 8 <= y < 16
    assert 16 <= x < 24


def shaken(spec, pool):
    torch.manual_seed(0)
    built = RadiographViT(replace(spec(Task.CLASSIFY, 3), pool=pool))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return built.eval()


@pytest.fixture(scope="module")
def model(spec):
    return shaken(spec, "token")


@pytest.mark.parametrize("method", list(Method))
def test_an_image_is_explained(spec, method):
    model = shaken(spec, "lse" if method is Method.PATCHES else "token")
    image = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
    before = image.copy()
    scores = np.array([0.2, 0.7, 0.4], np.float32)
    explained = Explainer(model, SaliencySpec(method))(image, scores)
    assert explained.heat.shape == (32, 32)
    assert (explained.heat.min(), explained.heat.max()) == (0, 1)
    assert explained.label == (None if method is Method.ROLLOUT else 1)
    assert explained.boxes.scores[0] == pytest.approx(0.7)
    assert explained.boxes.labels[0] == 1
    assert np.array_equal(image, before)
    patches = saliency_maps(model, torch.from_numpy(image)[None], method)[0]
    np.testing.assert_allclose(explained.heat, whole_maps(patches, 32)[1], atol=1e-6)


def test_an_image_of_one_grey_is_explained_too(model):
    explained = Explainer(model, SPEC)(np.zeros((1, 32, 32), np.float32), np.full(3, 0.5, np.float32))
    assert np.isfinite(explained.heat).all()


@pytest.mark.parametrize("task", [Task.DETECT, Task.SEGMENT])
def test_what_gives_boxes_itself_is_refused(spec, task):
    with pytest.raises(ConfigError, match=rf"saliency\.method=gradient of a model with task {task.value}"):
        Explainer(RadiographViT(spec(task)), SPEC)


@pytest.mark.parametrize("fields", [{"threshold": 0.0}, {"threshold": 1.5}, {"edge": 0.0}])
def test_shares_out_of_range_are_refused(fields):
    with pytest.raises(ConfigError, match="expected numbers above 0, 1 at most"):
        SaliencySpec(Method.ROLLOUT, **fields)
