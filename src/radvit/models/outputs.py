"""A model's outputs on their way out of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from radvit.records import FloatArray


def arrays(outputs: Mapping[str, Tensor]) -> dict[str, FloatArray]:
    """Outputs as float32, whatever they were computed in and on."""
    return {name: value.detach().float().cpu().numpy() for name, value in outputs.items()}
