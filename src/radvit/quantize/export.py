"""PyTorch to ONNX, refused where the two disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from radvit.errors import QuantizeError
from radvit.inference.engine import OnnxEngine
from radvit.models.outputs import arrays
from radvit.models.spec import output_names
from radvit.models.vit import RadiographViT
from radvit.quantize.quiet import without_chatter
from radvit.records import FloatArray

LOGITS_APART = 1e-4  # the largest difference of a logit or of a score's logit that an export may bring
PIXELS_APART = 0.5  # of a side of a box


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an exported model is from its original, at most. logits: of any score. pixels: of a side of a box."""

    logits: float
    pixels: float

    @property
    def holds(self) -> bool:
        """Whether the two may be taken for one another; differences that are no numbers don't."""
        return self.logits <= LOGITS_APART and self.pixels <= PIXELS_APART


class Ordered(nn.Module):
    """A model whose outputs are a tuple in a fixed order, as ONNX wants them."""

    def __init__(self, model: RadiographViT) -> None:
        super().__init__()
        self.model = model
        self.names = output_names(model.spec)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """images: (B, C, S, S). Returns the outputs in the order of their names."""
        outputs = self.model(images)
        return tuple(outputs[name] for name in self.names)


def export_onnx(model: RadiographViT, path: Path, images: FloatArray | None = None, seed: int = 0) -> Parity:
    """Write a model as ONNX with a free batch size, and hold the two against each other.

    images: (N, C, S, S) float32, normalised, that they are compared on beside two of noise. The size of the image is
    the model's own, as its position embeddings are; of a sliding window what is exported looks at one window. Raises
    QuantizeError (and leaves no file) where they differ by more than 1e-4 in a logit or half a pixel in a box.
    """
    spec = model.spec
    size = (2, spec.backbone.channels, spec.backbone.image_size, spec.backbone.image_size)
    noise = np.random.default_rng(seed).standard_normal(size, np.float32)
    names = list(output_names(spec))
    model = model.eval().cpu()
    with without_chatter(), torch.no_grad():
        torch.onnx.export(
            Ordered(model),
            (torch.from_numpy(noise),),
            str(path),
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    onnx.checker.check_model(str(path))
    found = parity(model, path, noise if images is None else np.concatenate([noise, images]))
    if not found.holds:
        path.unlink()
        raise QuantizeError(
            f"ONNX differs from PyTorch by {found.logits:.2g} in a logit and {found.pixels:.2g} px in a box; "
            f"expected at most {LOGITS_APART:g} and {PIXELS_APART:g} px"
        )
    return found


def parity(model: RadiographViT, path: Path, images: FloatArray) -> Parity:
    """How far PyTorch and ONNX are apart, at most. images: (N, C, S, S) float32, normalised."""
    engine = OnnxEngine(path, output_names(model.spec))
    with torch.inference_mode():
        expected = arrays(model(torch.from_numpy(images)))
    return apart(expected, engine(images))


def apart(expected: Mapping[str, FloatArray], found: Mapping[str, FloatArray]) -> Parity:
    """How far outputs of the same names are apart, at most: boxes in pixels, everything else in logits."""
    largest = {name: float(np.abs(value - found[name]).max()) for name, value in expected.items()}
    boxes = [value for name, value in largest.items() if name.startswith("box_")]
    others = [value for name, value in largest.items() if not name.startswith("box_")]
    return Parity(_largest(others), _largest(boxes))


def _largest(values: list[float]) -> float:
    """The largest, 0 of none; nan where one is none."""
    return float(np.max(values)) if values else 0.0
