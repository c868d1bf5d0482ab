from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from radvit.data.datamodule import Loading, RadiographData
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.data.transforms import AugmentSpec
from radvit.errors import DataError

SPEC = AugmentSpec(rotate_deg=5, shift=0.03, noise=0.05, gamma=0.2)
FITTING = Preprocess(32, mean=0.4, std=0.2)
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Noting(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[int]] = []
        self.images: list[torch.Tensor] = []

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        self.seen.append(batch["index"].tolist())
        self.images.append(batch["image"])
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def cohort(make_cohort: Callable[..., Cohort]) -> Cohort:
    return make_cohort(list(range(14)))


def data(cohort: Cohort, **options: Any) -> RadiographData:
    splits = Splits(tuple(range(10)), (10, 11), (12, 13), tuple(s.name for s in cohort.samples))
    how = {name: options.pop(name) for name in ("workers", "prefetch", "memory_mb", "on_device") if name in options}
    given = {"augment": SPEC, "preprocess": FITTING, "seed": 7, "loading": Loading(**how), **options}
    return RadiographData(cohort, splits, 4, **given)


def epoch(module: RadiographData, number: int) -> list[dict[str, Any]]:
    loader = module.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def assert_same(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["index"], other["index"])
        assert all(torch.equal(x, y) for x, y in zip(one["boxes"], other["boxes"], strict=True))


def test_a_batch_has_the_shapes_and_types_it_should(cohort: Cohort) -> None:
    batch = epoch(data(cohort), 0)[0]
    assert batch["image"].shape == (4, 1, 32, 32)
    assert batch["image"].dtype == batch["targets"].dtype == torch.float32
    assert batch["targets"].shape == (4, 1)
    assert batch["index"].dtype == torch.int64
    for target, boxes, labels in zip(batch["targets"], batch["boxes"], batch["labels"], strict=True):
        assert boxes.shape == (int(target), 4)
        assert boxes.dtype == torch.float32
        assert labels.shape == (int(target),)
        assert labels.dtype == torch.int64


def test_a_box_lies_on_its_bright_square(cohort: Cohort) -> None:
    for batch in epoch(data(cohort), 3):
        for image, boxes in zip(batch["image"], batch["boxes"], strict=True):
            if len(boxes):
                x1, y1, x2, y2 = boxes[0].round().int().tolist()
                assert image[0, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].mean() > image.mean() + 1


def test_evaluation_images_are_the_cohorts_own_in_order(cohort: Cohort) -> None:
    [batch] = list(data(cohort).val_dataloader())
    assert batch["index"].tolist() == [10, 11]
    np.testing.assert_array_equal(batch["image"][:, 0], FITTING.normalise(cohort.pixels[10:12]))
    np.testing.assert_array_equal(batch["boxes"][0], cohort.samples[10].boxes_px())
    assert [len(b["index"]) for b in data(cohort).predict_dataloader()] == [4, 4, 4, 2]
    assert next(iter(data(cohort).test_dataloader()))["index"].tolist() == [12, 13]


def test_two_instances_and_any_number_of_workers_give_the_same(cohort: Cohort) -> None:
    alone = data(cohort)
    helped = data(cohort, workers=2)
    loader = helped.train_dataloader()  # one loader for both epochs, so that its workers must learn of the second
    for number in (0, 1):
        loader.sampler.set_epoch(number)
        assert_same(epoch(alone, number), list(loader))
    assert_same(epoch(data(cohort), 1), epoch(data(cohort, memory_mb=0), 1))


def test_epochs_and_seeds_differ_in_order_and_in_augmentation(cohort: Cohort) -> None:
    def by_index(batches: list[dict[str, Any]]) -> dict[int, torch.Tensor]:
        return {int(i): x for b in batches for i, x in zip(b["index"], b["image"], strict=True)}

    first, second, other = epoch(data(cohort), 0), epoch(data(cohort), 1), epoch(data(cohort, seed=0), 0)
    for changed in (second, other):
        assert [b["index"].tolist() for b in first] != [b["index"].tolist() for b in changed]
        a, b = by_index(first), by_index(changed)
        assert all(not torch.equal(a[i], b[i]) for i in a.keys() & b.keys())


def test_without_augmentation_training_images_are_the_cached_ones(cohort: Cohort) -> None:
    for batch in epoch(data(cohort, augment=None), 0):
        np.testing.assert_array_equal(batch["image"][:, 0], FITTING.normalise(cohort.pixels[batch["index"].numpy()]))


def test_only_an_incomplete_last_batch_is_left_out(cohort: Cohort) -> None:
    assert [len(b["index"]) for b in epoch(data(cohort), 0)] == [4, 4]
    assert [len(b["index"]) for b in epoch(data(cohort, subset=3), 0)] == [3]


def test_balanced_epochs_show_a_rare_class_often_and_changed_each_time(make_cohort: Callable[..., Cohort]) -> None:
    cohort = make_cohort(list(range(14)))
    samples = tuple(replace(s, targets=(float(i == 3),) * len(s.targets)) for i, s in enumerate(cohort.samples))
    module = data(replace(cohort, samples=samples), balanced=True)
    batches = [batch for number in range(40) for batch in epoch(module, number)]
    rare = [image for batch in batches for image in batch["image"][batch["index"] == 3]]
    assert len(rare) / (4 * len(batches)) == pytest.approx(0.5, abs=0.1)  # of one image among ten
    assert len({image.numpy().tobytes() for image in rare}) == len(rare)
    again = epoch(data(replace(cohort, samples=samples), balanced=True), 39)
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(again, batches[-2:], strict=True))


def test_lightning_tells_the_sampler_each_epoch(cohort: Cohort) -> None:
    model = Noting()
    pl.Trainer(max_epochs=2, accelerator="cpu", **QUIET).fit(model, data(cohort))
    expected = [b for number in (0, 1) for b in epoch(data(cohort), number)]
    assert model.seen == [b["index"].tolist() for b in expected]
    assert all(torch.equal(a, b["image"]) for a, b in zip(model.images, expected, strict=True))


@pytest.fixture
def masked(cohort: Cohort) -> Cohort:
    """Its bright squares are class 0; the left half of each image is class 1."""
    masks = (cohort.pixels > 0.6).astype(np.uint8)
    masks[:, :, :16] |= 2
    samples = tuple(replace(sample, targets=(*sample.targets, 1.0)) for sample in cohort.samples)
    return replace(cohort, masks=masks, samples=samples, labels=("nodule", "left"))


def test_masks_are_in_a_batch_only_where_the_cohort_has_them(cohort: Cohort, masked: Cohort) -> None:
    assert "mask" not in epoch(data(cohort), 0)[0]
    [batch] = list(data(masked).val_dataloader())
    assert batch["mask"].shape == (2, 2, 32, 32)
    assert batch["mask"].dtype == torch.float32
    np.testing.assert_array_equal(batch["mask"][:, 0], masked.pixels[10:12] > 0.6)
    assert batch["mask"][:, 1, :, :16].all()
    assert not batch["mask"][:, 1, :, 16:].any()


def test_masks_move_with_their_images(masked: Cohort) -> None:
    spec = AugmentSpec(rotate_deg=10, shift=0.1, scale=0.1)
    for batch in epoch(data(masked, augment=spec), 1):
        bright = FITTING.mean + FITTING.std * batch["image"][:, 0] > 0.6  # (B, S, S)
        assert (bright != batch["mask"][:, 0].bool()).float().mean() < 0.02
        assert (bright & batch["mask"][:, 0].bool()).sum() > 20


@pytest.mark.parametrize("with_masks", [False, True])
def test_changing_on_the_models_device_gives_the_same_batches(cohort: Cohort, masked: Cohort, with_masks: bool) -> None:
    images = masked if with_masks else cohort
    there = data(images, on_device=True)
    loaded = epoch(there, 2)
    assert loaded[0]["image"].dtype == torch.float16
    moved = [there.on_after_batch_transfer(batch, 0) for batch in loaded]
    for one, other in zip(epoch(data(images), 2), moved, strict=True):
        assert one.keys() == other.keys()
        difference = (one["image"] - other["image"]).abs() * FITTING.std
        assert difference.mean() < 1e-4  # grey; hard edges may differ by more where an angle is rounded
        assert difference.max() < 2e-3
        assert torch.equal(one["index"], other["index"])
        assert torch.equal(one["targets"], other["targets"])
        for name in ("boxes", "labels"):
            assert all(torch.equal(a, b) for a, b in zip(one[name], other[name], strict=True))
        if with_masks:
            assert (one["mask"] != other["mask"]).float().mean() < 1e-3


def test_batches_that_are_whole_already_stay_as_they_are(cohort: Cohort) -> None:
    there = data(cohort, on_device=True)
    [batch] = list(there.val_dataloader())
    assert there.on_after_batch_transfer(batch, 0) is batch


def test_lightning_makes_the_changes_that_were_left_to_the_device(masked: Cohort) -> None:
    model = Noting()
    pl.Trainer(max_epochs=1, accelerator="cpu", **QUIET).fit(model, data(masked, on_device=True))
    expected = epoch(data(masked), 0)
    assert model.seen == [b["index"].tolist() for b in expected]
    for image, batch in zip(model.images, expected, strict=True):
        assert (image - batch["image"]).abs().max() < 1e-2


def test_workers_stay_and_read_ahead(cohort: Cohort) -> None:
    loader = data(cohort, workers=1, prefetch=5).train_dataloader()
    assert (loader.num_workers, loader.prefetch_factor, loader.persistent_workers) == (1, 5, True)
    assert not loader.pin_memory  # no GPU will copy from them
    assert data(cohort).val_dataloader().prefetch_factor is None


def test_any_number_of_workers_gives_the_same_masks_and_changes(masked: Cohort) -> None:
    for on_device in (False, True):
        alone = data(masked, on_device=on_device)
        helped = data(masked, on_device=on_device, workers=2, memory_mb=0)
        for one, other in zip(epoch(alone, 1), epoch(helped, 1), strict=True):
            assert torch.equal(one["mask"], other["mask"])
            assert torch.equal(one["image"], other["image"])
            if on_device:
                assert one["change"].theta is not None
                for a, b in zip(one["change"], other["change"], strict=True):
                    assert a is b is None or torch.equal(a, b)


def test_what_does_not_fit_is_refused(cohort: Cohort) -> None:
    for bad in ({"workers": -1}, {"prefetch": 0}, {"memory_mb": -1}):
        with pytest.raises(DataError, match="expected 0, 1, 0 or more"):
            data(cohort, **bad)
    with pytest.raises(DataError, match="batch size 0"):
        RadiographData(cohort, data(cohort).splits, 0, None, FITTING, 0)
    with pytest.raises(DataError, match=r"expected size 64"):
        data(cohort, preprocess=Preprocess(64)).val_dataloader()
    empty = replace(data(cohort).splits, train=())
    with pytest.raises(DataError, match="train split is empty"):
        RadiographData(cohort, empty, 4, None, FITTING, 0).train_dataloader()
