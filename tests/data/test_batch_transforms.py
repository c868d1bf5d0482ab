from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from radvit.data.batch_transforms import Changes, apply_batch, apply_batch_mask, gather
from radvit.data.transforms import Augment, AugmentSpec, apply, apply_mask, draw
from radvit.records import FloatArray

STRONG = AugmentSpec(20, 0.2, 0.1, True, 0.1, 0.2, 0.2, 0.05, 2.0, 0.5, 0.1, 0.5)
STEP = 3e-4  # grey; a step of the tone table is 1 / 4095
NO_BOXES = np.zeros((0, 4), np.float32)


def smooth(size: int, count: int = 12) -> FloatArray:
    """(count, size, size) in [0, 1]: no hard edges, at which a shift of 1e-5 px shows."""
    rng = np.random.default_rng(size)
    made = [ndimage.gaussian_filter(rng.random((size, size)), 1.5) for _ in range(count)]
    return np.array([(x - x.min()) / np.ptp(x) for x in made], np.float32)


def one_by_one(changes: list[Augment], images: FloatArray) -> FloatArray:
    return np.stack([apply(change, image, NO_BOXES)[0] for change, image in zip(changes, images, strict=True)])


def together(changes: list[Augment], images: FloatArray) -> FloatArray:
    batch = apply_batch(gather(changes, images.shape[-1]), torch.from_numpy(images)[:, None])
    assert batch.dtype == torch.float32
    return np.asarray(batch[:, 0].numpy())


@pytest.mark.parametrize("size", [28, 96, 101])
def test_a_batch_changes_as_its_images_do_one_by_one(size: int) -> None:
    images = smooth(size)
    before = images.copy()
    changes = [draw(STRONG, np.random.default_rng(i)) for i in range(len(images))]
    np.testing.assert_allclose(together(changes, images), one_by_one(changes, images), atol=STEP)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(
    "change",
    [
        Augment(rotate_deg=11, scale=1.1, shift=(0.05, -0.03), flip=True),
        Augment(flip=True),
        Augment(gamma=1.3, contrast=0.8, brightness=0.04),
        Augment(blur=0.1),
        Augment(blur=1.7),
        Augment(blur=30.0),  # wider than the image
        Augment(noise=0.1, noise_seed=5),
        Augment(cutout=(0.2, 0.4, 0.1, 0.2)),
        Augment(shading=(0.3, -0.1, 0.0, 0.1, -0.2, 0.2, 0.0, 0.1, -0.3)),
        Augment(sharpen=0.8),
    ],
    ids=lambda change: str([k for k in Augment.__dataclass_fields__ if getattr(change, k) != getattr(Augment(), k)]),
)
def test_each_change_alone_and_beside_images_that_have_none(change: Augment) -> None:
    images = smooth(40, 4)
    changes = [change, Augment(), change, Augment()]
    changed = together(changes, images)
    tolerance = 6e-3 if change.blur > 10 else STEP  # such a kernel ends where the image does, OpenCV's goes on
    np.testing.assert_allclose(changed, one_by_one(changes, images), atol=tolerance)
    np.testing.assert_array_equal(changed[1], images[1]) if change.still else None
    assert (changed[0] != images[0]).any()


def test_no_changes_are_no_tensors_and_leave_the_images() -> None:
    images = torch.rand(3, 1, 16, 16)
    changes = gather([Augment()] * 3, 16)
    assert changes == Changes()
    assert torch.equal(apply_batch(changes, images), images)
    masks = torch.randint(0, 255, (3, 16, 16), dtype=torch.uint8)
    assert apply_batch_mask(changes, masks) is masks


def test_masks_move_as_they_do_one_by_one() -> None:
    images = smooth(96)
    masks = ((images > 0.6) * 1 + (images < 0.3) * 130).astype(np.uint8)
    changes = [draw(STRONG, np.random.default_rng(i)) for i in range(len(images))]
    moved = apply_batch_mask(gather(changes, 96), torch.from_numpy(masks)).numpy()
    alone = np.stack([apply_mask(change, mask) for change, mask in zip(changes, masks, strict=True)])
    assert moved.dtype == np.uint8
    assert (moved != alone).mean() < 1e-4  # a pixel whose origin lies on a border may fall to either side
    assert (moved != masks).mean() > 0.1
