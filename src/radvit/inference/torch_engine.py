"""Models in PyTorch, behind the protocol of radvit.inference.engine."""

from __future__ import annotations

import torch

from radvit.bundle import Bundle
from radvit.inference.low_precision import CastEngine, half_engine, torchao_engine
from radvit.inference.precision import TORCHAO
from radvit.models.outputs import arrays
from radvit.models.vit import RadiographViT
from radvit.records import FloatArray


class TorchEngine:
    """PyTorch on the best device here; bf16 computes in bfloat16 under autocast."""

    def __init__(self, model: RadiographViT, bf16: bool = False) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self.device)
        self.bf16 = bf16

    def __call__(self, images: FloatArray) -> dict[str, FloatArray]:
        """Run the batch."""
        batch = torch.from_numpy(images).to(self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return arrays(self.model(batch))


def open_torch(bundle: Bundle, precision: str, threads: int = 0) -> TorchEngine | CastEngine:
    """A bundle's model in PyTorch. threads: cores of one call, 0 for what PyTorch is set to. Raises as open_engine."""
    if threads:
        torch.set_num_threads(threads)
    if precision == "fp16":
        return half_engine(bundle)
    if precision in TORCHAO:
        return torchao_engine(bundle, precision)
    return TorchEngine(bundle.model(), bf16=precision == "bf16")
