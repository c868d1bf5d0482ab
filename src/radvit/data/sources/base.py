"""What every source of labelled images offers, whatever files it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from radvit.records import Image, Lesion


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image and its truth. targets: 0 or 1 per class. lesions: boxes in pixels of the stored image.

    mask: (rows, columns) uint8 of the stored image, bit k set where class k lies; None where the source has none.
    """

    image: Image
    targets: tuple[float, ...]
    lesions: tuple[Lesion, ...] = ()
    mask: npt.NDArray[np.uint8] | None = None


class Source(Protocol):
    """A list of items, each a file or a part of one, that give labelled images; must pickle for a process pool."""

    @property
    def name(self) -> str:
        """Where the data lie, for messages to whoever asked for them; never stored."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the K classes."""
        ...

    @property
    def light(self) -> bool:
        """Whether reading an item costs so little that processes for it would cost more."""
        ...

    @property
    def official(self) -> Mapping[str, tuple[int, ...]] | None:
        """The source's own train, val and test splits as item indices, or None."""
        ...

    def fingerprint(self) -> str:
        """A hash that changes whenever what `read` returns may change."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> list[Labelled]:
        """The images of one item. Raises RadvitError where it can't be read; its words are not stored."""
        ...
