"""Batches for training and evaluation; the same seed gives the same batches whatever the number of workers.

A batch is a dict: image (B, 1, S, S) float32, normalised; targets (B, K) float32; boxes, a list of (n, 4) float32
tensors, xyxy in model pixels; labels, a list of (n,) int64; index (B,) int64, each image's place in the cohort; and,
only where the cohort has masks, mask (B, K, S, S) float32 of 0 and 1, on the image's grid. What is left of a lesion's
mask stays where its box was dropped because most of it moved out of the image.

That is what a model gets. With RadiographData(on_device=True), training batches leave the loader in a smaller form:
image (B, 1, S, S) float16 in [0, 1], mask (B, S, S) uint8, and change, a batch_transforms.Changes; Lightning moves them
to the model's device, and RadiographData.on_after_batch_transfer makes the batch above of them there. With
RadiographData(windows=...) that is also where a training batch of images becomes one of windows: it has corners
(B, n, 2) int64 until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from radvit.data.batch_transforms import apply_batch, apply_batch_mask, gather
from radvit.data.held import HeldPixels, Progress
from radvit.data.masks import Mask
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.sampling import EpochSampler, Key, Odds, balanced_odds
from radvit.data.splits import Splits
from radvit.data.transforms import Augment, AugmentSpec, apply, apply_boxes, apply_mask, draw
from radvit.data.windows import WindowDraws, balancing, cut_batch, draw_windows
from radvit.errors import DataError
from radvit.records import FloatArray, IntArray

Batch = dict[str, Any]
WINDOWS = 1  # keeps the draws of windows apart from those of changes


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a batch. image: (S, S) float32, normalised. boxes: (n, 4) model pixels, with labels (n,).

    mask: (S, S) uint8, a bit a class, or None. change: what is still to be done to image and mask, on the model's
    device; then the image is float16 in [0, 1]. corners: (n, 2), x and y of the windows to be cut out of it, or None.
    """

    image: FloatArray | npt.NDArray[np.float16]
    targets: FloatArray
    boxes: FloatArray
    labels: IntArray
    index: int
    mask: Mask | None = None
    change: Augment | None = None
    corners: IntArray | None = None


class CohortImages(Dataset[Item]):
    """Images of a split as they are, by their place in it."""

    def __init__(self, cohort: Cohort, indices: Sequence[int], preprocess: Preprocess, pixels: HeldPixels) -> None:
        if pixels.shape != (preprocess.size, preprocess.size):
            raise DataError(f"cached pixels of shape {pixels.shape}; expected size {preprocess.size}")
        self.samples = cohort.samples
        self.indices = np.asarray(indices, np.int64)
        self.preprocess = preprocess
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Item:
        index = int(self.indices[position])
        item = self.raw(index)
        return Item(self.preprocess.normalise(item.image), item.targets, item.boxes, item.labels, index, item.mask)

    def raw(self, index: int) -> Item:
        """One sample of the cohort, its image float16 in [0, 1] as it is cached."""
        sample = self.samples[index]
        image, mask = self.pixels[index]
        labels = np.array([lesion.label for lesion in sample.lesions], np.int64)
        return Item(image, np.array(sample.targets, np.float32), sample.boxes_px(), labels, index, mask)


class AugmentedImages(Dataset[Item]):
    """Images of a split, changed at random; the change depends on seed, epoch, image and turn (see Key) alone.

    on_device: move boxes alone, and leave image and mask to whoever has the batch on the model's device. windows: which
    windows of the changed image are drawn; that, too, depends on seed and Key alone.
    """

    def __init__(
        self,
        images: CohortImages,
        spec: AugmentSpec,
        seed: int,
        on_device: bool = False,
        windows: WindowDraws | None = None,
    ) -> None:
        self.images = images
        self.spec = spec
        self.seed = seed
        self.on_device = on_device
        self.windows = windows

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Key) -> Item:
        epoch, position, turn = key
        index = int(self.images.indices[position])
        change = draw(self.spec, np.random.default_rng([self.seed, epoch, index, turn]))
        item = self._marked(change, self.images.raw(index)) if self.on_device else self._changed(change, index)
        if self.windows is None:
            return item
        rng = np.random.default_rng([self.seed, epoch, index, turn, WINDOWS])
        return replace(item, corners=draw_windows(item.boxes, len(item.image), self.windows, rng))

    def _marked(self, change: Augment, item: Item) -> Item:
        boxes, kept = apply_boxes(change, item.boxes, len(item.image))
        return Item(item.image, item.targets, boxes, item.labels[kept], item.index, item.mask, change)

    def _changed(self, change: Augment, index: int) -> Item:
        item = self.images.raw(index)
        image, boxes, kept = apply(change, item.image.astype(np.float32), item.boxes)
        mask = None if item.mask is None else apply_mask(change, item.mask)
        return Item(self.images.preprocess.normalise(image), item.targets, boxes, item.labels[kept], index, mask)


@dataclass(frozen=True, slots=True)
class Loading:
    """How batches are made, none of which changes what is in them.

    workers: processes that make them, 0 for none; prefetch: batches under way for each. memory_mb: how much of pixels
    and masks is held in memory, in MiB, training images first; the rest is read from the cache each time. on_device:
    change training images on the device the model is on.
    """

    workers: int = 0
    prefetch: int = 2
    memory_mb: int = 4096
    on_device: bool = False

    def __post_init__(self) -> None:
        if min(self.workers, self.memory_mb) < 0 or self.prefetch < 1:
            raise DataError(
                f"{self.workers} workers, {self.prefetch} batches ahead, {self.memory_mb} MiB; expected 0, 1, 0 or more"
            )


DEFAULT_LOADING = Loading()


class RadiographData(pl.LightningDataModule):
    """The loaders of a cohort's splits.

    augment: random changes of training images, None for none. subset: use only the first so many training images.
    progress: called with the number of images held in memory and of all to be held. balanced: draw training images so
    that their classes come equally often, instead of each once an epoch. windows: train on windows of images, half of
    them with a lesion as far as possible, whatever its `positive` says; a batch is then one of B * count windows.
    """

    def __init__(
        self,
        cohort: Cohort,
        splits: Splits,
        batch_size: int,
        augment: AugmentSpec | None,
        preprocess: Preprocess,
        seed: int,
        loading: Loading = DEFAULT_LOADING,
        subset: int | None = None,
        progress: Progress | None = None,
        balanced: bool = False,
        windows: WindowDraws | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise DataError(f"batch size {batch_size}; expected at least 1")
        self.cohort = cohort
        self.splits = splits
        self.batch_size = batch_size
        self.augment = augment or AugmentSpec()
        self.preprocess = preprocess
        self.seed = seed
        self.loading = loading
        self.subset = subset
        self.balanced = balanced
        self.windows = windows
        used = (*splits.train[:subset], *splits.val)  # each epoch; a test split is read once, if at all
        self._pixels = HeldPixels(cohort, used, loading.memory_mb << 20, progress)
        self._begun: tuple[int, int] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Where training goes on, for a checkpoint: the epoch, and how many batches of it were used."""
        if self.trainer is None:
            return {}
        loop = self.trainer.fit_loop
        epoch: int = loop.epoch_progress.current.processed  # type: ignore[attr-defined]  # of its class it has that
        return {"epoch": epoch, "batches": loop.batch_idx + 1 if epoch == self.trainer.current_epoch else 0}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on behind the last batch that was used; those before are not made again."""
        self._begun = (state_dict["epoch"], state_dict["batches"])

    def train_dataloader(self) -> DataLoader[Any]:
        """Training images, augmented and shuffled; a last incomplete batch is left out unless it is the only one."""
        images = self._images(self.splits.train[: self.subset])
        if not len(images):
            raise DataError("the train split is empty")
        replicas, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        odds = balanced_odds(self.cohort.targets()[images.indices]) if self.balanced else None
        sampler = EpochSampler(len(images), self.seed, replicas, rank, odds)
        if self._begun is not None:  # workers ask for first batches before Lightning says which epoch it is
            sampler.set_epoch(self._begun[0])
            sampler.begun = (self._begun[0], self._begun[1] * self.batch_size)
        return DataLoader(
            AugmentedImages(images, self.augment, self.seed, self.loading.on_device, self._windows(images, odds)),
            sampler=sampler,
            drop_last=len(sampler) >= self.batch_size,
            **self._options(),
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation images in the cohort's order."""
        return self.loader(self.splits.val)

    def test_dataloader(self) -> DataLoader[Any]:
        """Test images in the cohort's order."""
        return self.loader(self.splits.test)

    def predict_dataloader(self) -> DataLoader[Any]:
        """Every image of the cohort, in its order."""
        return self.loader(range(len(self.cohort)))

    def loader(self, indices: Sequence[int]) -> DataLoader[Any]:
        """Any images of the cohort in the given order, unchanged."""
        return DataLoader(self._images(indices), **self._options())

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Make changes that were left to the model's device, and cut out windows; other batches stay as they are."""
        if "change" in batch:
            batch = finished(batch, self.preprocess)
        return batch if self.windows is None or "corners" not in batch else cut_batch(batch, self.windows.spec.size)

    def _windows(self, images: CohortImages, odds: Odds | None) -> WindowDraws | None:
        """How windows are drawn so that half of them hold a lesion. odds: of each image, None for the same."""
        if self.windows is None:
            return None
        shown = np.array([bool(images.samples[i].lesions) for i in images.indices])
        return replace(self.windows, positive=balancing(float(np.average(shown, weights=odds))))

    def _options(self) -> dict[str, Any]:
        """Of a loader. Workers live as long as their loader; pages are locked where a GPU will copy from them."""
        workers = self.loading.workers
        device = self.trainer.strategy.root_device.type if self.trainer else "cpu"
        return {
            "batch_size": self.batch_size,
            "num_workers": workers,
            "collate_fn": collate,
            "worker_init_fn": one_thread,
            "generator": torch.Generator().manual_seed(self.seed),  # else each loader draws from the global one
            "persistent_workers": workers > 0,
            "prefetch_factor": self.loading.prefetch if workers else None,
            "pin_memory": device == "cuda",
        }

    def _images(self, indices: Sequence[int]) -> CohortImages:
        return CohortImages(self.cohort, indices, self.preprocess, self._pixels)


def collate(items: list[Item]) -> Batch:
    """Stack items into a batch (see the module's first lines)."""
    batch: Batch = {
        "image": torch.from_numpy(np.stack([item.image for item in items])[:, None]),  # (B, 1, S, S)
        "targets": torch.from_numpy(np.stack([item.targets for item in items])),
        "boxes": [torch.from_numpy(item.boxes) for item in items],
        "labels": [torch.from_numpy(item.labels) for item in items],
        "index": torch.tensor([item.index for item in items], dtype=torch.int64),
    }
    changes = [item.change for item in items if item.change is not None]
    masks = [item.mask for item in items if item.mask is not None]
    if masks:
        mask = torch.from_numpy(np.stack(masks))  # (B, S, S)
        batch["mask"] = mask if changes else planes(mask, batch["targets"].shape[1])  # (B, K, S, S)
    corners = [item.corners for item in items if item.corners is not None]
    if corners:
        batch["corners"] = torch.from_numpy(np.stack(corners))  # (B, n, 2)
    if changes:
        batch["change"] = gather(changes, batch["image"].shape[-1])
    return batch


def finished(batch: Batch, preprocess: Preprocess) -> Batch:
    """A batch whose changes were drawn and not yet made, with images changed and normalised and masks taken apart."""
    rest = {name: value for name, value in batch.items() if name not in ("image", "mask", "change")}
    image = apply_batch(batch["change"], batch["image"].to(torch.float32))
    rest["image"] = (image - preprocess.mean) / preprocess.std
    if "mask" in batch:
        rest["mask"] = planes(apply_batch_mask(batch["change"], batch["mask"]), batch["targets"].shape[1])
    return rest


def one_thread(_: int) -> None:
    """Set up a worker process of a loader: the loader's workers are the parallelism."""
    cv2.setNumThreads(0)


def planes(mask: torch.Tensor, classes: int) -> torch.Tensor:
    """A mask's bits apart. mask: (B, H, W) uint8. Returns (B, classes, H, W) float32 of 0 and 1."""
    place = torch.arange(classes, dtype=torch.uint8, device=mask.device)[:, None, None]
    return (mask[:, None] >> place & 1).to(torch.float32)
