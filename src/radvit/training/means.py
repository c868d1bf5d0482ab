"""Means of named values over an epoch, kept on the device: logging each step would cost more than a small model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from radvit.training.ranks import gathered


class Means:
    """Running sums of scalars, each weighted by the images it stands for."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, values: Mapping[str, Tensor], count: int) -> None:
        """Take in the means of a batch of `count` images."""
        for name, value in values.items():
            term = value.detach() * count
            self.sums[name] = self.sums[name] + term if name in self.sums else term
        self.count += count

    def take(self) -> dict[str, float]:
        """The means over all processes, and start again; all of them must call this at the same point."""
        parts = gathered(self.state())
        self.load({})
        total = max(1, sum(part["count"] for part in parts))
        names = dict.fromkeys(name for part in parts for name in part["sums"])
        return {name: sum(float(part["sums"].get(name, 0.0)) for part in parts) / total for name in names}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a run that goes on in mid-epoch logs the whole epoch's means."""
        return {"sums": {name: value.cpu() for name, value in self.sums.items()}, "count": self.count}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; from an empty one at zero."""
        self.sums, self.count = dict(state.get("sums", {})), int(state.get("count", 0))
