"""Every way to run one saved model: engines and number formats, on the processor and, where there is one, a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from radvit.bundle import WEIGHTS, Bundle
from radvit.errors import ConfigError
from radvit.inference.engine import Engine, open_engine, open_onnx
from radvit.inference.low_precision import CastEngine, torchao_engine
from radvit.inference.precision import ONNX_FILES, TORCHAO
from radvit.inference.torch_engine import TorchEngine

log = logging.getLogger(__name__)

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a model. megabytes: of the weights' or the model's file; None where it has none of its own."""

    engine: str
    precision: str
    device: str
    run: Engine
    megabytes: float | None = None


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
    return [*found, *torchao_variants(bundle, cuda.type)]


def torchao_variants(bundle: Bundle, device: str, compiled: bool = True) -> Iterator[Variant]:
    """The backbone's linear layers in INT8, and in FP8 where the card has it; activations are quantized as they come.

    What can't run here is left out, with a warning.
    """
    for precision in TORCHAO:
        try:
            engine = torchao_engine(bundle, precision, compiled)
        except ConfigError as error:
            log.warning("%s", error)
            continue
        yield Variant("torchao", precision.removesuffix("_torch"), device, engine)


def _on_cpu(engine: Engine) -> Engine:
    """PyTorch's engine takes a GPU where there is one; here the processor is timed."""
    if isinstance(engine, TorchEngine):
        engine.device, engine.model = CPU, engine.model.to(CPU)
    return engine


def _megabytes(bundle: Bundle, name: str) -> float:
    return (bundle.folder / name).stat().st_size / 1e6
