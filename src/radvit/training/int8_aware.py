"""Training that feels INT8: linear layers compute with weights and inputs rounded as INT8 will round them.

Quantization-aware training (Jacob et al. 2018, arXiv 1712.05877) by torchao: weights have a scale a channel, inputs
one a token, and gradients pass the rounding unchanged. Names of the weights stay those of the plain model.
"""

from __future__ import annotations

import logging

import torch
from torch import nn

from radvit.errors import ConfigError
from radvit.models.vit import RadiographViT

HEAD = "head"  # stays FP32 in INT8, too

log = logging.getLogger(__name__)


def make_int8_aware(model: RadiographViT) -> int:
    """Let a model's linear layers round, in place. Returns how many do. Raises ConfigError where torchao is missing."""
    try:
        from torchao.quantization import quantize_
        from torchao.quantization.qat import IntxFakeQuantizeConfig, QATConfig
    except ImportError as error:
        raise ConfigError("int8_aware=true needs torchao: pip install 'radvit[int8]'") from error
    inputs = IntxFakeQuantizeConfig(torch.int8, "per_token", is_symmetric=False)
    weights = IntxFakeQuantizeConfig(torch.int8, "per_channel", is_symmetric=True)
    count = sum(_rounds(module, name) for name, module in model.named_modules())
    quantize_(model, QATConfig(activation_config=inputs, weight_config=weights, step="prepare"), filter_fn=_rounds)
    return count


def make_plain(model: RadiographViT) -> None:
    """Undo `make_int8_aware`, in place; the weights stay as they were learned."""
    from torchao.quantization import quantize_
    from torchao.quantization.qat import QATConfig

    quantize_(model, QATConfig(step="convert"))


def _rounds(module: nn.Module, name: str) -> bool:
    return isinstance(module, nn.Linear) and name.split(".", 1)[0] != HEAD
