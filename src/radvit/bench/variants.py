"""Every way to run one saved model: engines and number formats, on the processor and, where there is one, a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from radvit.bundle import WEIGHTS, Bundle
from radvit.inference.engine import ONNX_FILES, Engine, TorchEngine, open_engine, open_onnx
from radvit.models.vit import RadiographViT
from radvit.records import FloatArray

log = logging.getLogger(__name__)

CPU = torch.device("cpu")
FP8_FROM = (8, 9)  # compute capability of the first cards with FP8 (Ada)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a model. megabytes: of the weights' or the model's file; None where it has none of its own."""

    engine: str
    precision: str
    device: str
    run: Engine
    megabytes: float | None = None


class CastEngine:
    """A model in PyTorch whose weights are all in one number format, on a device."""

    def __init__(self, model: RadiographViT, device: torch.device, dtype: torch.dtype, compiled: bool = False) -> None:
        self.device, self.dtype = device, dtype
        self.model = model.eval().to(device, dtype)
        if compiled:
            self.model.compile()

    def __call__(self, images: FloatArray) -> dict[str, Tensor]:
        """Outputs as float32 on the CPU. images: as an Engine takes them."""
        batch = torch.from_numpy(images).to(self.device, self.dtype)
        with torch.inference_mode():
            outputs: dict[str, Tensor] = self.model(batch)
        return {name: value.float().cpu() for name, value in outputs.items()}


def cpu_variants(bundle: Bundle, threads: int) -> list[Variant]:
    """Eager PyTorch in FP32 first; then bfloat16, and ONNX Runtime in FP32 and INT8. The bundle has been quantized."""
    weights = _megabytes(bundle, WEIGHTS)
    found = [Variant("torch", p, "cpu", _on_cpu(open_engine(bundle, p)), weights) for p in ("fp32", "bf16")]
    return found + [
        Variant("onnxruntime", p, "cpu", open_onnx(bundle, p, threads), _megabytes(bundle, ONNX_FILES[p]))
        for p in ("fp32", "int8")
    ]


def cuda_variants(bundle: Bundle) -> list[Variant]:
    """Eager PyTorch in FP32 first; then half formats, compiled ones, and torchao's where it is installed."""
    cuda, weights = torch.device("cuda"), _megabytes(bundle, WEIGHTS)
    found = [Variant("torch", p, "cuda", open_engine(bundle, p), weights) for p in ("fp32", "bf16")]
    found.append(Variant("torch", "fp16", "cuda", CastEngine(bundle.model(), cuda, torch.float16), weights))
    for precision, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        engine = CastEngine(bundle.model(), cuda, dtype, compiled=True)
        found.append(Variant("torch.compile", precision, "cuda", engine, weights))
    return [*found, *torchao_variants(bundle, cuda)]


def torchao_variants(bundle: Bundle, device: torch.device, compiled: bool = True) -> Iterator[Variant]:
    """The backbone's linear layers in INT8, and in FP8 where the card has it; activations are quantized as they come.

    None where torchao isn't installed; what it can't run here is left out, with a warning.
    """
    if find_spec("torchao") is None:
        return
    from torchao.quantization import (
        Float8DynamicActivationFloat8WeightConfig,
        Int8DynamicActivationInt8WeightConfig,
        quantize_,
    )

    ways: dict[str, Callable[[], object]] = {"int8": Int8DynamicActivationInt8WeightConfig}
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= FP8_FROM:
        ways["fp8"] = Float8DynamicActivationFloat8WeightConfig
    size, channels = bundle.preprocess.size, bundle.spec.backbone.channels
    for precision, config in ways.items():
        engine = CastEngine(bundle.model(), device, torch.bfloat16)
        try:
            quantize_(engine.model.backbone, config())
            if compiled:
                engine.model.compile()
            engine(np.zeros((1, channels, size, size), np.float32))
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            log.warning("torchao %s can't run this model here: %s", precision, str(error).split("\n", 1)[0])
            continue
        yield Variant("torchao", precision, device.type, engine)


def _on_cpu(engine: Engine) -> Engine:
    """PyTorch's engine takes a GPU where there is one; here the processor is timed."""
    if isinstance(engine, TorchEngine):
        engine.device, engine.model = CPU, engine.model.to(CPU)
    return engine


def _megabytes(bundle: Bundle, name: str) -> float:
    return (bundle.folder / name).stat().st_size / 1e6
