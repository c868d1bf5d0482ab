"""What changing one image costs: by OpenCV as train.py does it, by MONAI's array transforms, and by batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from radvit.bench.machine import one_thread
from radvit.bench.timing import interleaved
from radvit.data.batch_transforms import apply_batch, gather
from radvit.data.transforms import Augment, apply
from radvit.records import FloatArray

NO_BOXES = np.zeros((0, 4), np.float32)
BATCH = 16  # images of the batched path
MOVED = Augment(rotate_deg=7, scale=1.1, shift=(0.03, -0.05))
CHANGES = {
    "move": MOVED,
    "gamma": Augment(gamma=1.3),
    "blur": Augment(blur=1.0),
    "noise": Augment(noise=0.05, noise_seed=1),
    "all": Augment(7, 1.1, (0.03, -0.05), gamma=1.3, blur=1.0, noise=0.05, noise_seed=1),
}
Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class TransformRow:
    """Microseconds of a processor's time an image, medians; ratio: MONAI's faster form over radvit's.

    radvit, MONAI: an image at a time. batched: radvit's path on the model's device, BATCH images at once, on the CPU.
    """

    change: str
    size: int
    radvit_us: float
    monai_array_us: float
    monai_tensor_us: float
    batched_us: float

    @property
    def ratio(self) -> float:
        """How many times faster radvit is than the faster of MONAI's two."""
        return min(self.monai_array_us, self.monai_tensor_us) / self.radvit_us

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the ratio too."""
        return {"part": "transforms", **asdict(self), "ratio": self.ratio}


def measure(sizes: Sequence[int], repeats: int) -> list[TransformRow]:
    """Each change at each size, in one thread, the four ways in turn."""
    with one_thread():
        return [_row(name, size, repeats) for size in sizes for name in CHANGES]


def monai_change(name: str, size: int) -> Change:
    """The same change by MONAI's array transforms. Takes and gives (1, size, size)."""
    from monai.transforms import AdjustContrast, Affine, Compose, GaussianSmooth, RandGaussianNoise

    made: dict[str, Change] = {
        "move": Affine(
            rotate_params=np.deg2rad(MOVED.rotate_deg),
            scale_params=(1 / MOVED.scale, 1 / MOVED.scale),
            translate_params=tuple(-size * part / MOVED.scale for part in reversed(MOVED.shift)),
            padding_mode="zeros",
            image_only=True,
        ),
        "gamma": AdjustContrast(1.3),
        "blur": GaussianSmooth(1.0),
        "noise": RandGaussianNoise(prob=1.0, std=0.05, sample_std=False),
    }
    return made[name] if name in made else Compose(list(made.values()))


def _row(name: str, size: int, repeats: int) -> TransformRow:
    image: FloatArray = np.random.default_rng(0).random((size, size), np.float32)
    tensor, batch = torch.from_numpy(image)[None], torch.from_numpy(image).expand(BATCH, 1, -1, -1).contiguous()
    change, theirs = CHANGES[name], monai_change(name, size)
    changes = gather([change] * BATCH, size)
    many = max(1, 50_000 // size**2)  # calls a repeat, so that a short one isn't all clock
    ways: list[Callable[[], object]] = [
        lambda: [apply(change, image, NO_BOXES) for _ in range(many)],
        lambda: [theirs(image[None]) for _ in range(many)],
        lambda: [theirs(tensor) for _ in range(many)],
        lambda: [apply_batch(changes, batch) for _ in range(max(1, many // BATCH))],
    ]
    ours, array, tensors, batched = (
        float(np.median(one)) * 1e6 for one in interleaved(ways, repeats, time.process_time)
    )
    return TransformRow(name, size, ours / many, array / many, tensors / many, batched / max(1, many // BATCH) / BATCH)
