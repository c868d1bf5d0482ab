"""How the processes of a run share a batch: what a loss must know that divides by something counted in the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


def itself(mine: Tensor) -> Tensor:
    """What one process alone counts in all."""
    return mine


@dataclass(frozen=True, slots=True)
class Share:
    """processes: how many share a batch. total: what all of them count, from what one counts, without its gradient.

    Gradients are meaned over the processes. A loss that is divided by the total / processes is in that mean what one
    process with the whole batch makes of it, however unevenly what is counted is spread (as in DETR, Carion et al.
    2020).
    """

    processes: int = 1
    total: Callable[[Tensor], Tensor] = itself


ALONE = Share()
