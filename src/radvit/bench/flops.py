"""Floating-point operations of a training step, and how many a device can do at most."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SIDE_CPU, SIDE_GPU = 1536, 8192  # of the measured product
IMAGES_CPU, IMAGES_GPU = 64, 2048  # of the measured convolution
CHANNELS, MAP = 96, 14  # of the measured convolution; a kernel is 3 x 3
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


def convolution(device: torch.device, low: bool) -> tuple[Callable[[], Tensor], int]:
    """A convolution of 3 x 3 on a device, in bfloat16 where low, else float32, and its operations.

    Libraries differ in how near their matrix products come to what a device can do; the faster of this and a product
    is the better measure of its peak.
    """
    images = IMAGES_GPU if device.type == "cuda" else IMAGES_CPU
    kind = torch.bfloat16 if low else torch.float32
    shapes = (CHANNELS, CHANNELS, 3, 3), (images, CHANNELS, MAP, MAP)
    weights, maps = (
        torch.randn(shape, device=device, dtype=kind).to(memory_format=torch.channels_last) for shape in shapes
    )
    return lambda: F.conv2d(maps, weights, padding=1), 2 * images * MAP**2 * CHANNELS**2 * 9


def largest(device: torch.device, low: bool) -> list[tuple[str, Callable[[], Tensor], int]]:
    """What a device is asked to do for its peak to be measured: in words, the work, and its operations."""
    kind, side = "bfloat16" if low else "float32", SIDE_GPU if device.type == "cuda" else SIDE_CPU
    return [
        (f"a {kind} product of {side} x {side}", *product(device, low)),
        (f"a {kind} convolution of 3 x 3 over {CHANNELS} channels", *convolution(device, low)),
    ]
