"""Which training images an epoch shows, and in what order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data.distributed import DistributedSampler

from radvit.records import IntArray

Key = tuple[int, int, int]
Odds = npt.NDArray[np.float64]


class EpochSampler(DistributedSampler[Key]):
    """(epoch, position, turn) of each image of an epoch, in an order that depends on seed and epoch alone.

    odds: (length,), of 1 in all: how likely each image is at each draw; then as many are drawn as there are images,
    some several times, of which turn 0 is the first. None: each image once. The epoch travels with each position
    because workers hold their own copy of the data set. Lightning calls set_epoch, and leaves a DistributedSampler as
    it is, so that this one also serves several devices.
    """

    def __init__(self, length: int, seed: int, replicas: int = 1, rank: int = 0, odds: Odds | None = None) -> None:
        super().__init__(range(length), num_replicas=replicas, rank=rank)  # type: ignore[arg-type]
        self.length = length
        self.seed = seed
        self.odds = odds
        self.begun: tuple[int, int] | None = None  # an epoch and how many images of it were used before a resume

    def __iter__(self) -> Iterator[Key]:
        rng = np.random.default_rng([self.seed, self.epoch])
        drawn = rng.permutation(self.length) if self.odds is None else rng.choice(self.length, self.length, p=self.odds)
        order = np.resize(drawn, self.total_size)  # starts again at its head so that all devices get as many
        used = self.begun[1] if self.begun is not None and self.begun[0] == self.epoch else 0
        mine = slice(self.rank, None, self.num_replicas)
        keys = zip(order[mine][used:].tolist(), turns(order)[mine][used:].tolist(), strict=True)
        return iter([(self.epoch, position, turn) for position, turn in keys])


def turns(order: IntArray) -> IntArray:
    """How often each entry of (N,) whole numbers stood there before. (N,)."""
    place = np.argsort(order, kind="stable")
    ordered = order[place]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    found = np.empty(len(order), np.int64)
    found[place] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return found


def balanced_odds(targets: npt.NDArray[np.floating]) -> Odds:
    """How likely each image is at a draw by which classes come equally often; (N,) of 1 in all.

    targets: (N, K) of 0 and 1. An image's odds are the inverse of the number of images with its rarest positive label;
    images without any label are a class of their own.
    """
    positive = np.asarray(targets) > 0
    every = np.concatenate([positive, ~positive.any(1, keepdims=True)], 1)  # (N, K + 1)
    inverse = 1 / np.maximum(every.sum(0), 1)
    odds = np.where(every, inverse, 0.0).max(1)
    return np.asarray(odds / odds.sum(), np.float64)
