"""Items of a source to preprocessed samples, in order, by processes that a bad file can't stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.data.masks import Mask
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Sample
from radvit.data.sources.base import Labelled, Source
from radvit.errors import DataError, DeidError, GeometryError, ReasonedError
from radvit.pool import DEFAULT_GUARD, Died, Guard, WorkerPool, out_of_memory
from radvit.records import FloatArray

AHEAD = 8  # items under way for each worker: enough to keep it busy, few enough to hold in memory
REASONS: dict[type[Exception], str] = {DeidError: "deid", GeometryError: "geometry", DataError: "truth"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image, ready for the cache. pixels: (S, S) float16. mask: (S, S) uint8, None where the source has none."""

    pixels: npt.NDArray[np.float16]
    sample: Sample
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that could not be read. reason: a short code; the error's own words may quote the file."""

    reason: str


@dataclass(frozen=True, slots=True)
class Decoder:
    """Reads and preprocesses items; what one raises costs only that one."""

    source: Source
    preprocess: Preprocess

    def __call__(self, index: int) -> list[Decoded] | Failure:
        """One item."""
        try:
            return [self._fitted(one) for one in self.source.read(index)]
        except ReasonedError as error:
            return Failure(error.reason)
        except Exception as error:  # noqa: BLE001 - a hostile file may raise anything
            return Failure("memory" if out_of_memory(error) else REASONS.get(type(error), type(error).__name__))

    def _fitted(self, x: Labelled) -> Decoded:
        pixels, placement = self.preprocess.apply(x.image.pixels)
        mask = None if x.mask is None else self._fitted_mask(x.mask, x.image.pixels)
        return Decoded(pixels, Sample(x.image.header, x.image.geometry, placement, x.targets, x.lesions), mask)

    def _fitted_mask(self, mask: Mask, pixels: FloatArray) -> Mask:
        return self.preprocess.apply_mask(_checked(mask, pixels.shape), self.preprocess.field_of(pixels))


def _checked(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask.shape != shape or mask.dtype != np.uint8:
        raise DataError(f"a {mask.dtype} mask of shape {mask.shape} for an image of {shape}; expected uint8, as large")
    return mask


def decode_all(
    source: Source, preprocess: Preprocess, workers: int, guard: Guard = DEFAULT_GUARD
) -> Iterator[list[Decoded] | Failure]:
    """Yield the images of each item, or why it has none, in the source's order.

    workers: processes; 0 for none, nor are there any for a light source. guard: what one item may take in a process;
    one that takes more, or ends its process, is a Failure with reason `memory`, `timeout` or `crashed`.
    """
    decoder = Decoder(source, preprocess)
    if workers < 1 or source.light:
        yield from map(decoder, range(len(source)))
        return
    with WorkerPool(workers, guard, preload=(__name__,)) as pool:
        for _, outcome in pool.ordered(decoder, range(len(source)), AHEAD * workers):
            yield Failure(outcome.reason) if isinstance(outcome, Died) else outcome
