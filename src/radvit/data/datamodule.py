"""Batches for training and evaluation; the same seed gives the same batches whatever the number of workers.

A batch is a dict: image (B, 1, S, S) float32, normalised; targets (B, K) float32; boxes, a list of (n, 4) float32
tensors, xyxy in model pixels; labels, a list of (n,) int64; index (B,) int64, each image's place in the cohort.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.data.transforms import AugmentSpec, apply, draw
from radvit.errors import DataError
from radvit.records import FloatArray, IntArray

Batch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a batch. image: (S, S) float32, normalised. boxes: (n, 4) model pixels, with labels (n,)."""

    image: FloatArray
    targets: FloatArray
    boxes: FloatArray
    labels: IntArray
    index: int


class CohortImages(Dataset[Item]):
    """Images of a split as they are, by their place in it."""

    def __init__(
        self, cohort: Cohort, indices: Sequence[int], preprocess: Preprocess, pixels: npt.NDArray[np.float16]
    ) -> None:
        if pixels.shape[1:] != (preprocess.size, preprocess.size):
            raise DataError(f"cached pixels of shape {pixels.shape}; expected size {preprocess.size}")
        self.cohort = cohort
        self.indices = np.asarray(indices, np.int64)
        self.preprocess = preprocess
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Item:
        index = int(self.indices[position])
        image, boxes, labels = self.raw(index)
        return self.item(index, image, boxes, labels)

    def raw(self, index: int) -> tuple[FloatArray, FloatArray, IntArray]:
        """Image in [0, 1], true boxes in model pixels and their labels, of one sample of the cohort."""
        sample = self.cohort.samples[index]
        labels = np.array([lesion.label for lesion in sample.lesions], np.int64)
        return self.pixels[index].astype(np.float32), sample.boxes_px(), labels

    def item(self, index: int, image: FloatArray, boxes: FloatArray, labels: IntArray) -> Item:
        """What goes into a batch; the image is normalised here."""
        targets = np.array(self.cohort.samples[index].targets, np.float32)
        return Item(self.preprocess.normalise(image), targets, boxes, labels, index)


class AugmentedImages(Dataset[Item]):
    """Images of a split, changed at random; the change depends on seed, epoch and image alone."""

    def __init__(self, images: CohortImages, spec: AugmentSpec, seed: int) -> None:
        self.images = images
        self.spec = spec
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, position = key
        index = int(self.images.indices[position])
        image, boxes, labels = self.images.raw(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        image, boxes, kept = apply(draw(self.spec, rng), image, boxes)
        return self.images.item(index, image, boxes, labels[kept])


class EpochSampler(DistributedSampler[tuple[int, int]]):
    """(epoch, position) pairs in an order that depends on seed and epoch alone.

    The epoch travels with each position because workers hold their own copy of the data set. Lightning calls
    set_epoch, and leaves a DistributedSampler as it is, so that this one also serves several devices.
    """

    def __init__(self, length: int, seed: int, replicas: int = 1, rank: int = 0) -> None:
        super().__init__(range(length), num_replicas=replicas, rank=rank)  # type: ignore[arg-type]
        self.length = length
        self.seed = seed
        self.begun: tuple[int, int] | None = None  # an epoch and how many images of it were used before a resume

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        order = np.resize(order, self.total_size)  # starts again at its head so that all devices get as many
        used = self.begun[1] if self.begun is not None and self.begun[0] == self.epoch else 0
        return iter([(self.epoch, int(i)) for i in order[self.rank :: self.num_replicas][used:]])


class RadiographData(pl.LightningDataModule):
    """The loaders of a cohort's splits.

    augment: random changes of training images, None for none. workers: processes that make batches, 0 for none.
    in_memory: hold the pixels in memory instead of reading them from the cache each time. subset: use only the first
    so many training images.
    """

    def __init__(
        self,
        cohort: Cohort,
        splits: Splits,
        batch_size: int,
        augment: AugmentSpec | None,
        preprocess: Preprocess,
        seed: int,
        workers: int = 0,
        in_memory: bool = True,
        subset: int | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or workers < 0:
            raise DataError(f"batch size {batch_size} and {workers} workers; expected at least 1 and 0")
        self.cohort = cohort
        self.splits = splits
        self.batch_size = batch_size
        self.augment = augment or AugmentSpec()
        self.preprocess = preprocess
        self.seed = seed
        self.workers = workers
        self.subset = subset
        self._pixels = np.array(cohort.pixels) if in_memory else cohort.pixels
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
        sampler = EpochSampler(len(images), self.seed, replicas, rank)
        if self._begun is not None:  # workers ask for first batches before Lightning says which epoch it is
            sampler.set_epoch(self._begun[0])
            sampler.begun = (self._begun[0], self._begun[1] * self.batch_size)
        return DataLoader(
            AugmentedImages(images, self.augment, self.seed),
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=len(sampler) >= self.batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            worker_init_fn=one_thread,
            generator=torch.Generator().manual_seed(self.seed),  # else each loader draws from the global one
            persistent_workers=self.workers > 0,
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
        return DataLoader(
            self._images(indices),
            batch_size=self.batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            worker_init_fn=one_thread,
            generator=torch.Generator().manual_seed(self.seed),  # else each loader draws from the global one
        )

    def _images(self, indices: Sequence[int]) -> CohortImages:
        return CohortImages(self.cohort, indices, self.preprocess, self._pixels)


def collate(items: list[Item]) -> Batch:
    """Stack items into a batch (see the module's first lines)."""
    return {
        "image": torch.from_numpy(np.stack([item.image for item in items])[:, None]),  # (B, 1, S, S)
        "targets": torch.from_numpy(np.stack([item.targets for item in items])),
        "boxes": [torch.from_numpy(item.boxes) for item in items],
        "labels": [torch.from_numpy(item.labels) for item in items],
        "index": torch.tensor([item.index for item in items], dtype=torch.int64),
    }


def one_thread(_: int) -> None:
    """Set up a worker process of a loader: the loader's workers are the parallelism."""
    cv2.setNumThreads(0)
