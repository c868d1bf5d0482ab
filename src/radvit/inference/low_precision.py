"""Models in half, INT8 and FP8 number formats in PyTorch: what a GPU runs fast."""

from __future__ import annotations

import numpy as np
import torch

from radvit.bundle import Bundle
from radvit.errors import ConfigError
from radvit.models.outputs import arrays
from radvit.models.vit import RadiographViT
from radvit.records import FloatArray

FP8_FROM = (8, 9)  # compute capability of the first cards with FP8 (Ada)


class CastEngine:
    """A model in PyTorch whose weights are all in one number format, on a device."""

    def __init__(self, model: RadiographViT, device: torch.device, dtype: torch.dtype, compiled: bool = False) -> None:
        self.device, self.dtype = device, dtype
        self.model = model.eval().to(device, dtype)
        if compiled:
            self.model.compile()

    def __call__(self, images: FloatArray) -> dict[str, FloatArray]:
        """Run the batch. images: as an Engine takes them."""
        batch = torch.from_numpy(images).to(self.device, self.dtype)
        with torch.inference_mode():
            return arrays(self.model(batch))


def half_engine(bundle: Bundle, compiled: bool = False) -> CastEngine:
    """A bundle in float16 on a GPU. Raises ConfigError without one: processors compute in it no faster."""
    if not torch.cuda.is_available():
        raise ConfigError("precision=fp16 needs a GPU; expected fp32, bf16, onnx or int8 on this machine")
    return CastEngine(bundle.model(), torch.device("cuda"), torch.float16, compiled)


def torchao_engine(bundle: Bundle, precision: str, compiled: bool = True) -> CastEngine:
    """A bundle whose backbone's linear layers multiply in INT8 or FP8 (torchao); the rest computes in bfloat16.

    Inputs of layers are quantized a token, as they come. compiled: by torch.compile, without which it is no faster.
    Raises ConfigError where torchao is missing, or this machine or this model can't run it.
    """
    try:
        from torchao.quantization import (
            Float8DynamicActivationFloat8WeightConfig,
            Int8DynamicActivationInt8WeightConfig,
            quantize_,
        )
    except ImportError as error:
        raise ConfigError(f"precision={precision} needs torchao: pip install 'radvit[int8]'") from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if precision == "fp8" and not has_fp8(device):
        raise ConfigError("precision=fp8 needs a GPU with FP8, of compute capability 8.9 or more")
    config = (
        Float8DynamicActivationFloat8WeightConfig() if precision == "fp8" else Int8DynamicActivationInt8WeightConfig()
    )
    engine = CastEngine(bundle.model(), device, torch.bfloat16)
    size, channels = bundle.preprocess.size, bundle.spec.backbone.channels
    try:
        quantize_(engine.model.backbone, config)
        if compiled:
            engine.model.compile()
        engine(np.zeros((1, channels, size, size), np.float32))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).split("\n", 1)[0]
        raise ConfigError(f"precision={precision} can't run this model here: {why}") from error
    return engine


def has_fp8(device: torch.device) -> bool:
    """Whether a device multiplies in FP8."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= FP8_FROM
