import numpy as np
import pytest
import torch

from radvit.training.mixing import MixSpec, cut_out, mix


@pytest.fixture
def batch():
    images = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 10).clone()  # image i is grey i
    return images, torch.eye(6)


@pytest.mark.parametrize("spec", [MixSpec(mixup=0.4), MixSpec(cutmix=1.0), MixSpec(0.4, 1.0)])
def test_targets_are_the_shares_that_the_pixels_have(batch, spec):
    images, targets = (part.clone() for part in batch)
    for seed in range(20):
        mixed, soft = mix(images, targets, spec, np.random.default_rng(seed))
        shares = mixed.mean((1, 2, 3))  # of images that are their own number, the mean is the mean number
        torch.testing.assert_close(shares, soft @ torch.arange(6.0), atol=1e-5, rtol=0)
        torch.testing.assert_close(soft.sum(1), torch.ones(6))
    assert torch.equal(images, batch[0])
    assert torch.equal(targets, batch[1])


def test_cutmix_pastes_a_rectangle_and_mixup_a_blend(batch):
    pasted, _ = mix(*batch, MixSpec(cutmix=1.0), np.random.default_rng(1))
    assert pasted.frac().abs().max() == 0
    blended, soft = mix(*batch, MixSpec(mixup=1.0), np.random.default_rng(1))
    assert (blended.amax((1, 2, 3)) == blended.amin((1, 2, 3))).all()
    assert 0 < soft.max() < 1


def test_the_same_generator_draws_the_same_mix(batch):
    one, two = (mix(*batch, MixSpec(0.4, 1.0), np.random.default_rng(5))[0] for _ in range(2))
    assert torch.equal(one, two)


def test_nothing_is_mixed_where_it_is_off_or_there_is_one_image(batch):
    images, targets = batch
    assert mix(images, targets, MixSpec(), np.random.default_rng(0))[0] is images
    assert mix(images[:1], targets[:1], MixSpec(1.0), np.random.default_rng(0))[0].shape == (1, 1, 8, 10)


def test_a_rectangle_has_the_area_asked_for_on_average_inside_and_never_leaves_the_image():
    rng = np.random.default_rng(0)
    for keep in (0.0, 0.3, 0.99, 1.0):
        top, bottom, left, right = cut_out(40, 60, keep, rng)
        assert 0 <= top <= bottom <= 40
        assert 0 <= left <= right <= 60
        assert (bottom - top) * (right - left) <= (1 - keep) * 2400 + 101  # rounded to pixels
