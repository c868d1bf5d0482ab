"""How many images a model is given at once: as many as asked for, or as many as memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from radvit.memory import can_tell, free_memory, peak_memory, reset_peak, used_memory
from radvit.pool import out_of_memory
from radvit.records import FloatArray

logger = logging.getLogger(__name__)

A = TypeVar("A")

LARGEST = 32  # images; more are not faster on any machine that this was measured on
UNTOLD = 8  # images, where a system doesn't tell how much memory there is
SHARE = 0.5  # of the free memory that a batch may take

# What the errors of PyTorch's and ONNX Runtime's allocators say, which are RuntimeErrors of no type of their own.
_WORDS = ("can't allocate memory", "not enough memory", "failed to allocate memory", "out of memory", "bad_alloc")


class BatchSize:
    """The number of images a batch; it never grows once memory has run out.

    fixed: that many. None: from 1, doubled as long as twice as many are expected to fit into a share of the memory that
    is free. One that is too large all the same is halved for good, and the same images are looked at again.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self.size = fixed or (1 if can_tell() else UNTOLD)
        self.growing = fixed is None and can_tell()

    def run(self, look: Callable[[FloatArray], A], images: FloatArray) -> Iterator[tuple[A, int]]:
        """Look at images, `size` at a time. Yields (answer, how many it is about). Raises what a single image raises.

        images: (N, 1, S, S) float32.
        """
        done = 0
        while done < len(images):
            part = images[done : done + self.size]
            answer = self._try(look, part)
            if answer is None:
                self._halve(len(part))
                continue
            yield answer[0], len(part)
            done += len(part)

    def _try(self, look: Callable[[FloatArray], A], part: FloatArray) -> tuple[A] | None:
        """The answer, or None where it took too much memory; leaving the handler frees what the error holds on to."""
        growing = self.growing and len(part) == self.size
        before = used_memory() if growing else 0
        if growing:
            reset_peak()
        try:
            answer = look(part)
        except Exception as error:
            if len(part) == 1 or not ran_out(error):
                raise
            return None
        if growing:
            self._grow(peak_memory() - before)
        return (answer,)

    def _grow(self, spent: int) -> None:
        """Double where that is expected to fit. spent: bytes that the present size took."""
        if self.size >= LARGEST or 2 * spent > SHARE * free_memory():
            self.growing = False
            logger.info("batches of %d images", self.size)
        else:
            self.size *= 2

    def _halve(self, tried: int) -> None:
        self.size, self.growing = max(1, tried // 2), False
        logger.warning("a batch of %d images takes more memory than there is; going on with %d", tried, self.size)


def ran_out(error: BaseException) -> bool:
    """Whether a model's error says that memory ran out, of the machine or of a GPU."""
    return out_of_memory(error) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)
    )
