"""Floating-point operations of a training step, and how many a device can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SIDE_CPU, SIDE_GPU = 1536, 8192  # of the measured product
# Dense bfloat16 on tensor cores, TFLOP/s, from the makers' data sheets; the first name that is part of a device's.
PUBLISHED = (
    ("B200", 2250.0),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.0),
    ("H100", 989.4),
    ("H200", 989.4),
    ("A100", 312.0),
    ("L40S", 362.0),
    ("L4", 121.0),
    ("RTX 4090", 165.2),
    ("A10", 125.0),
)


def count(step: Callable[[], object]) -> int:
    """Operations of a call, forward and backward: two for each multiplication with addition.

    Only products count (matrices, convolutions, attention); attention is run as plain products, which the counter knows
    on every device.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        step()
    return int(counter.get_total_flops())


def published(name: str) -> float | None:
    """A device's published peak, FLOP/s of dense bfloat16, or None for one that the table lacks."""
    return next((tera * 1e12 for part, tera in PUBLISHED if part in name), None)


def product(device: torch.device, low: bool) -> tuple[Callable[[], Tensor], int]:
    """A large matrix product on a device, in bfloat16 where low, else float32, and its operations."""
    side = SIDE_GPU if device.type == "cuda" else SIDE_CPU
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16 if low else torch.float32) for _ in range(2))
    return lambda: a @ b, 2 * side**3


def rate(work: Callable[[], object], operations: int) -> float:
    """FLOP/s of one call."""
    started = time.perf_counter()
    work()
    return operations / (time.perf_counter() - started)
