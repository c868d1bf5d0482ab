"""How much faster larger models get, which merge more tokens in more blocks: python large.py [FILE].

Random weights, which take as long as any: ViT-S/16 as a classifier in PyTorch, an image at a time.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from radvit.bench.tokens import compared
from radvit.inference.torch_engine import TorchEngine
from radvit.models.backbone import BackboneSpec
from radvit.models.backbone.merging import tokens_by_block
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.terminal import quiet_libraries, table

MODELS = (("vit_small_patch16_224", 224), ("vit_small_patch16_224", 448))
SHARES = (0.0, 0.1, 0.2, 0.3)
REPEATS = 5


def main() -> None:
    """Time, print a row a model and share, and write the numbers."""
    quiet_libraries()
    rows: list[dict[str, Any]] = []
    for name, size in MODELS:
        images = np.random.default_rng(0).standard_normal((1, 1, size, size), np.float32)
        engines = [engine(name, size, share) for share in SHARES]
        for share, speed in zip(SHARES, compared(engines, images, REPEATS), strict=True):
            left = tokens_by_block((size // 16) ** 2, share, 12)[-1]
            rows.append({"model": name, "px": size, "share": share, "last_tokens": left, **asdict(speed)})
    cells = [
        (r["model"], *(f"{r[name]:g}" for name in ("px", "share", "last_tokens")), f"{r['ms']:.0f}", ratio(r))
        for r in rows
    ]
    table([("model", "px", "share", "last block's tokens", "ms", "times as fast"), *cells])
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps({"rows": rows, "threads": torch.get_num_threads()}, indent=2) + "\n")


def ratio(row: dict[str, Any]) -> str:
    """How many times as fast as without merging, and the middle 90 % of the rounds."""
    return f"{row['times']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def engine(name: str, size: int, share: float) -> TorchEngine:
    """A classifier with random weights."""
    torch.manual_seed(0)
    return TorchEngine(RadiographViT(ModelSpec(Task.CLASSIFY, 1, BackboneSpec(name, size, merge_tokens=share))))


if __name__ == "__main__":
    main()
