"""PyTorch to ONNX, refused where the two disagree."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from radvit.errors import QuantizeError
from radvit.inference.engine import OnnxEngine
from radvit.models.vit import RadiographViT, output_names

TOLERANCE = 1e-3  # largest difference, relative to the output's own spread


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


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what exporters and quantizers tell the root logger, and their warnings, about each tensor."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def export_onnx(model: RadiographViT, path: Path, seed: int = 0) -> float:
    """Write a model as ONNX with a free batch size, and compare the two on random images.

    Returns the largest difference of any output, relative to that output's standard deviation.
    Raises QuantizeError (and leaves no file) where it is above 1e-3, and for a sliding window, which is many passes.
    """
    spec = model.spec
    if spec.window is not None:
        raise QuantizeError("a sliding window (model.window) has no ONNX or INT8 form; expected a dense detector")
    size = (2, spec.backbone.channels, spec.backbone.image_size, spec.backbone.image_size)
    images = np.random.default_rng(seed).standard_normal(size, np.float32)
    names = list(output_names(spec))
    model = model.eval().cpu()
    with without_chatter(), torch.no_grad():
        torch.onnx.export(
            Ordered(model),
            (torch.from_numpy(images),),
            str(path),
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    onnx.checker.check_model(str(path))
    difference = parity(model, path, images)
    if difference > TOLERANCE:
        path.unlink()
        raise QuantizeError(
            f"ONNX differs from PyTorch by {difference:.2g} of the outputs' spread; expected <= {TOLERANCE}"
        )
    return difference


def parity(model: RadiographViT, path: Path, images: np.ndarray) -> float:
    """Largest difference between PyTorch and ONNX outputs, relative to each output's standard deviation."""
    engine = OnnxEngine(path, output_names(model.spec))
    with torch.inference_mode():
        expected = model(torch.from_numpy(images))
    got = engine(images)
    return max(float((expected[n] - got[n]).abs().max() / expected[n].std().clamp(min=1e-6)) for n in got)
