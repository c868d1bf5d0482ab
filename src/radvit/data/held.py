"""Pixels and masks of a cohort, held in memory as far as they may be; the rest is read from the cache each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from radvit.data.masks import Mask
from radvit.data.samples import Cohort

Progress = Callable[[int, int], None]
STEP = 64  # images copied between two reports of progress


class HeldPixels:
    """Pixels (S, S) float16, and masks (S, S) uint8 or None, by an image's place in the cohort.

    What is held lies in one block that worker processes share with the process that filled it, forked or spawned: it is
    neither copied nor filled again for each. order: places in the cohort, those to be held first. most: bytes.
    progress: called with the number of images held so far and of all to be held.
    """

    def __init__(self, cohort: Cohort, order: Sequence[int], most: int, progress: Progress | None = None) -> None:
        self._pixels, self._masks = cohort.pixels, cohort.masks
        self.shape = cohort.pixels.shape[1:]
        wanted = np.array(list(dict.fromkeys(order)), np.int64)  # each once
        each = int(np.prod(self.shape)) * (2 if self._masks is None else 3)
        self.places = np.sort(wanted[: most // each if each else 0])  # so that the file is read from front to back
        self._slot = np.full(len(cohort), -1, np.int64)
        self._slot[self.places] = np.arange(len(self.places))
        self._held = _block(len(self.places), self.shape, torch.float16)
        self._held_masks = None if self._masks is None else _block(len(self.places), self.shape, torch.uint8)
        self._fill(progress)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float16], Mask | None]:
        """Pixels and mask of one image; not to be written to."""
        slot = self._slot[index]
        if slot < 0:
            return np.asarray(self._pixels[index]), None if self._masks is None else np.asarray(self._masks[index])
        return self._held[slot].numpy(), None if self._held_masks is None else self._held_masks[slot].numpy()

    def __getstate__(self) -> dict[str, Any]:
        """A spawned worker gets the name of a mapped file, not all that is in it."""
        mapped = {
            name: _mapped_file(array) for name in ("_pixels", "_masks") if (array := getattr(self, name)) is not None
        }
        return {**self.__dict__, **{name: path for name, path in mapped.items() if path is not None}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        opened = {name: np.load(value, mmap_mode="r") for name, value in state.items() if isinstance(value, Path)}
        self.__dict__.update(state, **opened)

    def _fill(self, progress: Progress | None) -> None:
        for start in range(0, len(self.places), STEP):
            part = slice(start, start + STEP)
            self._held.numpy()[part] = self._pixels[self.places[part]]
            if self._masks is not None and self._held_masks is not None:
                self._held_masks.numpy()[part] = self._masks[self.places[part]]
            if progress is not None:
                progress(min(start + STEP, len(self.places)), len(self.places))


def _mapped_file(array: npt.NDArray[Any]) -> Path | None:
    """The .npy file that an array is mapped from; None for one in memory, and for a part of a file."""
    if not isinstance(array, np.memmap) or array.filename is None:
        return None
    whole = np.load(array.filename, mmap_mode="r").shape == array.shape
    return Path(array.filename) if whole else None


def _block(count: int, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    return torch.empty((count, *shape), dtype=dtype)
