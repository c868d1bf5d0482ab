"""The largest batch that a machine's memory holds, found by trying."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from pytorch_lightning.utilities import move_data_to_device
from pytorch_lightning.utilities.seed import isolate_rng
from torch.utils.data import Dataset

from radvit import memory
from radvit.data.datamodule import Item, collate
from radvit.errors import ConfigError
from radvit.training.mae_module import MaeModule
from radvit.training.module import RadiographModule
from radvit.training.optim import make_optimizer
from radvit.training.task_losses import Batch

MARGIN = 0.1  # of the memory stays free: batches differ, and so do a machine's other processes

Learner = RadiographModule | MaeModule


@dataclass(frozen=True, slots=True)
class Fit:
    """images a batch, and how many batches a step of the optimiser then takes; their product is what was asked for."""

    images: int
    batches: int


def fitting(effective: int, cost: Callable[[int], int], limit: int) -> Fit:
    """The fewest and largest equal batches that fit and make up `effective` images a step of the optimiser.

    So gradients, rate and schedule stay those of the recipe; only batch normalisation sees smaller batches.
    cost: peak memory in bytes of training on so many images; it may raise where memory runs out. limit: bytes.
    Raises ConfigError where one image is too many.
    """
    images = largest(cost, limit, [n for n in range(1, effective + 1) if effective % n == 0])
    if images is None:
        raise ConfigError(f"trainer.auto_batch: training on one image takes more than the {limit >> 20} MB there are")
    return Fit(images, effective // images)


def largest(cost: Callable[[int], int], limit: int, sizes: Sequence[int]) -> int | None:
    """The largest of `sizes`, ascending, whose cost is at most `limit`; None where the first one's isn't.

    Sizes are doubled until one is too large, and halved between. One that would be, judged by the line through the last
    two that were measured, is not tried: on a CPU running out of memory ends the process, or another's.
    """
    known: dict[int, int] = {}

    def fits(size: int) -> bool:
        if expected(known, size) > limit:
            return False
        try:
            known[size] = cost(size)
        except (MemoryError, torch.OutOfMemoryError):
            return False
        return known[size] <= limit

    if not fits(sizes[0]):
        return None
    low, high = 0, len(sizes)  # sizes[low] fits; sizes[high] does not, or is none
    while high - low > 1:
        doubled = max(i for i in range(low, high) if sizes[i] <= max(2 * sizes[low], sizes[low + 1]))
        middle = doubled if high == len(sizes) else (low + high) // 2
        low, high = (middle, high) if fits(sizes[middle]) else (low, middle)
    return sizes[low]


def expected(known: dict[int, int], size: int) -> float:
    """The cost of a size on the line through the two largest known ones; 0 where fewer are known."""
    if len(known) < 2:
        return 0.0
    (small, low), (large, high) = sorted(known.items())[-2:]
    return high + (high - low) / (large - small) * (size - large)


def unchanged(batch: Batch) -> Batch:
    """The batch as it is."""
    return batch


@dataclass(frozen=True, slots=True)
class Trial:
    """Trains a copy of a module on images of a data set of radvit.data.sampling's keys. amp: with autocast to bfloat16.

    finish: what is done to a batch once it is on the device.
    """

    module: Learner
    images: Dataset[Item]
    device: torch.device
    amp: bool = False
    finish: Callable[[Batch], Batch] = unchanged
    held: list[Learner] = field(default_factory=list)

    def __call__(self, size: int) -> int:
        """Peak memory of this process, or of the device, in bytes, over two steps on `size` images."""
        batch = collate([self.images[0, i % len(self.images), 0] for i in range(size)])  # type: ignore[arg-type]
        with isolate_rng():
            trained = copy.deepcopy(self.module).to(self.device).train()
            self.held[:] = [copy.deepcopy(trained)]  # as large as averaged weights
            optimizer, _ = make_optimizer(trained.model, trained.optim, 2)
            reset_peak(self.device)
            placed = self.finish(move_data_to_device(batch, self.device))
            for _ in range(2):  # the optimiser's own memory is there from the second step on
                optimizer.zero_grad()
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
                    loss = trained.losses(placed)["loss"]
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            self.held.clear()
            return peak(self.device)


def limit_of(device: torch.device) -> int:
    """Bytes that may be used in all, a margin left: of the device's memory, or of the machine's or its limits."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        used = torch.cuda.memory_reserved(device)
    else:
        need_linux()
        free, used = memory.free_memory(), memory.used_memory()
    return int((used + free) * (1 - MARGIN))


def reset_peak(device: torch.device) -> None:
    """Begin to measure peak memory anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        need_linux()
        memory.reset_peak()


def peak(device: torch.device) -> int:
    """The most bytes used since `reset_peak`."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    return memory.peak_memory()


def need_linux() -> None:
    """Raise ConfigError where memory can't be measured."""
    if not memory.can_tell():
        raise ConfigError("trainer.auto_batch=true on a CPU needs Linux; expected false and a batch size")
