"""How well masks agree with true masks, from pixel counts of each image and class.

Counts are kept, not masks: they are all that Dice needs, and a bootstrap weighs them like any other image's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.errors import DataError
from radvit.metrics.classification import ratio

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixels of found and true masks and of their intersection, each (N, K). Raises DataError where shapes differ."""

    found: Counts
    true: Counts
    both: Counts

    def __post_init__(self) -> None:
        if not self.found.shape == self.true.shape == self.both.shape or self.found.ndim != 2:
            raise DataError(f"pixel counts {self.found.shape}, {self.true.shape}, {self.both.shape}; expected (N, K)")

    def of(self, rows: list[int]) -> Overlap:
        """The counts of some images, in their order."""
        return Overlap(self.found[rows], self.true[rows], self.both[rows])


def overlap(found: Bools, true: Bools) -> Overlap:
    """Count the pixels of masks. found, true: (N, K, rows, columns)."""
    if found.shape != true.shape:
        raise DataError(f"found masks {found.shape} and true masks {true.shape}; expected equal shapes")
    return Overlap(*(np.asarray(m.sum((2, 3)), np.int64) for m in (found, true, found & true)))


def joined(parts: list[Overlap]) -> Overlap:
    """The counts of several batches as one; parts: at least one."""
    return Overlap(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("found", "true", "both")))


def dice(counts: Overlap, k: int, weights: Array) -> Array:
    """Mean Dice coefficient of class k over the images that show it; an image where nothing of it is found counts 0.

    weights: (B, N). Returns (B,); nan where no image shows it. Source: Dice 1945; Maier-Hein et al. 2024 (Metrics
    reloaded) for leaving out the images without it, of which Dice says nothing.
    """
    shown = counts.true[:, k] > 0
    each = np.where(shown, 2 * counts.both[:, k] / np.maximum(counts.found[:, k] + counts.true[:, k], 1), 0.0)
    return ratio(weights @ each, weights @ shown.astype(np.float64))


def pooled_dice(counts: Overlap, k: int, weights: Array) -> Array:
    """Dice coefficient of class k over the pixels of all images together, healthy ones included. Returns (B,)."""
    return ratio(2 * (weights @ counts.both[:, k]), weights @ (counts.found[:, k] + counts.true[:, k]))


def bits(masks: npt.NDArray[np.uint8], classes: int) -> Bools:
    """Masks as they are stored to one layer a class. masks: (N, S, S), bit k set where class k lies."""
    shifts = np.arange(classes, dtype=np.uint8)[:, None, None]
    return np.asarray((masks[:, None] >> shifts) & 1, bool)  # (N, K, S, S)
