import copy
import json

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity

from radvit.evaluation import sanity_page
from radvit.evaluation.sanity import Sanity, Stage, check, mean, parts, randomise, spearman, ssim
from radvit.models.backbone import BackboneSpec
from radvit.models.saliency import Method, saliency_maps
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task

SIDE = 32


def discs(n, generator):
    """Noise, every second image with a bright disc; what is true of each."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = generator.normal(0, 0.3, (n, 1, SIDE, SIDE)).astype(np.float32)
    for image in images[1::2]:
        x, y = generator.uniform(6, SIDE - 6, 2)
        image[0] += 2.0 * ((columns - x) ** 2 + (rows - y) ** 2 < 16)
    return images, (np.arange(n) % 2).astype(np.float32)


def tiny(depth=2, pool="token", name="vit_tiny_patch16_224"):
    torch.manual_seed(0)
    spec = BackboneSpec(name, SIDE, patch_size=4, embed_dim=32, depth=depth, num_heads=2)
    return RadiographViT(ModelSpec(Task.CLASSIFY, 1, spec, hidden=16, dropout=0.0, pool=pool))


@pytest.fixture(scope="module")
def trained():
    """A tiny classifier that tells images with a disc from those without; its accuracy on new images is checked."""
    generator, model = np.random.default_rng(0), tiny()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(150):
        images, labels = discs(32, generator)
        logits = model(torch.from_numpy(images))["logits"][:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    images, labels = discs(64, generator)
    with torch.no_grad():
        right = (model.eval()(torch.from_numpy(images))["logits"][:, 0] > 0).numpy() == labels
    assert right.mean() > 0.9
    return model


def map_of(method):
    return lambda model, image, label: saliency_maps(model, torch.from_numpy(image)[None], method, [label])[
        0, 0
    ].numpy()


def edges(model, image, label):
    """A planted map that ignores the weights."""
    return ndimage.zoom(ndimage.gaussian_gradient_magnitude(image[0], 1.0), 0.25, order=1)


def looked(n=6):
    images, _ = discs(2 * n, np.random.default_rng(1))
    images = images[1::2]
    return images, np.clip(images[:, 0] / 4 + 0.5, 0, 1)


def test_maps_of_a_trained_classifier_depend_on_its_weights(trained):
    found = check(trained, map_of(Method.GRADIENT), "gradient", *looked(), seed=0)
    assert found.depends is True
    assert "they depend on what the model learned" in found.verdict()[0]
    assert [stage.name for stage in found.stages] == ["head", "block 2", "block 1", "embedding"]
    assert found.stages[-1].weights == 1
    assert found.n_images == 6


def test_a_map_that_ignores_the_weights_fails(trained):
    found = check(trained, edges, "edges", *looked(), seed=0)
    assert found.depends is False
    assert [mean(stage.spearman) for stage in found.stages] == pytest.approx([1] * 4)
    assert [mean(stage.ssim) for stage in found.stages] == pytest.approx([1] * 4)
    assert "Don't read them" in found.verdict()[0]


def test_it_is_told_that_rollout_does_not_look_at_the_head(trained):
    rolled = check(trained, map_of(Method.ROLLOUT), "rollout", *looked(), seed=0)
    assert mean(rolled.stages[0].spearman) == pytest.approx(1)
    assert mean(rolled.stages[1].spearman) < 1
    assert any("Randomising the head alone changes nothing" in words for words in rolled.verdict())
    weighted = check(trained, map_of(Method.GRADIENT), "gradient", *looked(), seed=0)
    assert mean(weighted.stages[0].spearman) < 0.999


def test_the_model_stays_as_it_was_and_a_seed_gives_the_same(trained):
    before = copy.deepcopy(trained.state_dict())
    steps = []
    first = check(trained, map_of(Method.GRADIENT), "gradient", *looked(2), seed=3, progress=lambda *a: steps.append(a))
    again = check(trained, map_of(Method.GRADIENT), "gradient", *looked(2), seed=3)
    other = check(trained, map_of(Method.GRADIENT), "gradient", *looked(2), seed=4)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert first.document() == again.document()
    assert first.document() != {**other.document(), "seed": 3}
    assert steps == [(i, 10) for i in range(1, 11)]


def test_every_weight_is_in_one_part():
    for depth, names in ((1, ["block 1"]), (3, ["block 3", "block 2", "block 1"]), (9, None)):
        model = tiny(depth)
        groups = parts(model)
        assert sum(len(group) for _, group in groups) == len(list(model.parameters()))
        assert len({id(p) for _, group in groups for p in group}) == len(list(model.parameters()))
        assert all(group for _, group in groups)
        assert names is None or [name for name, _ in groups[1:-1]] == names
    assert [name for name, _ in groups] == ["head", "block 7", "block 5", "block 3", "block 1", "embedding"]


def test_random_weights_keep_mean_and_deviation():
    parameter = torch.nn.Parameter(torch.linspace(2, 4, 10000))
    randomise(parameter, torch.Generator().manual_seed(0))
    assert parameter.mean().item() == pytest.approx(3, abs=0.05)
    assert parameter.std().item() == pytest.approx(0.577, abs=0.02)
    assert abs(np.corrcoef(parameter.detach().numpy(), np.arange(10000))[0, 1]) < 0.05


def test_likeness_by_hand_and_by_scikit_image():
    generator = np.random.default_rng(0)
    a = generator.random((16, 12)).astype(np.float32)
    b = (0.6 * a + 0.4 * generator.random((16, 12))).astype(np.float32)
    assert ssim(a, b) == pytest.approx(structural_similarity(a, b, data_range=1.0), abs=1e-6)
    small = structural_similarity(a[:4, :4], b[:4, :4], data_range=1.0, win_size=3)
    assert ssim(a[:4, :4], b[:4, :4]) == pytest.approx(small, abs=1e-6)
    assert ssim(a, a) == pytest.approx(1)
    assert spearman(a, a**3) == pytest.approx(1)
    assert spearman(a, -a) == pytest.approx(-1)
    flat = np.zeros((4, 4), np.float32)
    assert np.isnan([spearman(a[:4, :4], flat), ssim(flat, a[:4, :4]), ssim(a[:2, :2], b[:2, :2])]).all()


def test_flat_maps_say_that_nothing_can_be_told():
    found = check(tiny(), lambda *_: np.ones((4, 4), np.float32), "flat", *looked(2), seed=0)
    assert found.depends is None
    assert found.verdict() == ["It can't be told whether flat depends on the weights: its maps are flat."]
    assert [row[-1] for row in found.rows()[1:]] == ["2"] * 4
    sanity_page.figure(found)


def test_what_is_written_and_drawn():
    maps = np.random.default_rng(0).random((2, 4, 4)).astype(np.float32)
    stages = tuple(
        Stage(name, share, np.array(rho), np.array(rho) / 2, maps)
        for name, share, rho in (("head", 0.1, [1.0, 1.0]), ("embedding", 1.0, [0.2, np.nan]))
    )
    found = Sanity("rollout", 0, maps, np.zeros((2, 16, 16), np.float32), stages)
    text = sanity_page.section(found)
    assert "| embedding | 100.0% | 0.200 | 0.100 | 1 |" in text
    assert "2 images" in text
    document = found.document()
    assert (document["depends_on_weights"], document["stages"][1]["spearman"]) == (True, 0.2)
    json.dumps(document)
    figure = sanity_page.figure(found)
    assert len(figure.axes) == 2 * 4 + 2


def test_heat_lies_over_the_image_and_flat_heat_leaves_it():
    picture = np.full((8, 8), 0.5, np.float32)
    assert np.allclose(sanity_page.over(picture, None), 0.5)
    assert np.allclose(sanity_page.over(picture, np.zeros((2, 2), np.float32)), 0.5)
    laid = sanity_page.over(picture, np.array([[0, 0], [0, 1]], np.float32))
    assert np.allclose(laid[:4], 0.5)
    assert not np.allclose(laid[4:, 4:], 0.5)
