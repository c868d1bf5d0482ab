"""What learning takes: changes of images, optimiser, trainer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import hydra.utils
import pytorch_lightning as pl
from hydra.errors import InstantiationException

from radvit.assemble.loggers import make_loggers
from radvit.config import (
    AugmentConfig,
    OptimConfig,
)
from radvit.data.transforms import AugmentSpec
from radvit.errors import ConfigError
from radvit.training.optim import OptimSpec

log = logging.getLogger(__name__)


def augment(config: AugmentConfig) -> AugmentSpec:
    """How training images are changed at random."""
    return AugmentSpec(**{name: getattr(config, name) for name in AugmentSpec.__dataclass_fields__})


def optim(config: OptimConfig) -> OptimSpec:
    """How weights are learned."""
    return OptimSpec(**{name: getattr(config, name) for name in OptimSpec.__dataclass_fields__})


def trainer(config: dict[str, Any], loggers: dict[str, Any], folder: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The Lightning trainer. Raises ConfigError where Lightning refuses an argument."""
    made = make_loggers(loggers)
    try:
        shown = any(isinstance(c, pl.callbacks.ProgressBar) for c in callbacks)
        given = {"default_root_dir": str(folder), "logger": made, "callbacks": callbacks}
        built = hydra.utils.instantiate(config, enable_progress_bar=shown, enable_model_summary=False, **given)
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise ConfigError(f"trainer: {str(cause).splitlines()[0]}") from error
    if not isinstance(built, pl.Trainer):
        raise ConfigError(f"trainer._target_ made a {type(built).__name__}; expected a pytorch_lightning.Trainer")
    return built
