"""What says where a classifier looked."""

from __future__ import annotations

from radvit.config import SaliencyConfig, SaliencyName
from radvit.errors import ConfigError
from radvit.inference.engine import Engine
from radvit.inference.saliency import Explainer, SaliencySpec
from radvit.inference.torch_engine import TorchEngine
from radvit.models.saliency import Method


def explainer(config: SaliencyConfig, engine: Engine) -> Explainer | None:
    """The explainer of an engine's model, on the engine's device; None where none is asked for.

    Raises ConfigError where the model is no classifier, or the engine is not PyTorch.
    """
    if config.method is SaliencyName.none:
        return None
    if not isinstance(engine, TorchEngine) or engine.bf16:
        raise ConfigError(f"saliency.method={config.method.value}; expected precision=fp32")
    return Explainer(engine.model, saliency_spec(config))


def saliency_spec(config: SaliencyConfig) -> SaliencySpec:
    """How maps are made and become boxes, where some are asked for."""
    return SaliencySpec(Method(config.method.value), config.threshold, config.edge)
