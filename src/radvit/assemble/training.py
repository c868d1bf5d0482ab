"""What learning takes: changes of images, optimiser, trainer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import hydra.utils
import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException

from radvit.assemble.models import window_spec
from radvit.config import (
    AugmentConfig,
    AugmentDevice,
    EarlyStopConfig,
    OptimConfig,
    TrainConfig,
)
from radvit.data.datamodule import Loading
from radvit.data.transforms import AugmentSpec
from radvit.data.windows import WindowDraws
from radvit.errors import ConfigError
from radvit.training.checkpoints import WholeFiles
from radvit.training.class_weights import ClassWeights, class_weights
from radvit.training.mixing import MixSpec
from radvit.training.module import Recipe
from radvit.training.optim import OptimSpec

log = logging.getLogger(__name__)


def augment(config: AugmentConfig) -> AugmentSpec:
    """How training images are changed at random."""
    return AugmentSpec(**{name: getattr(config, name) for name in AugmentSpec.__dataclass_fields__})


def loading(config: TrainConfig) -> Loading:
    """How batches are made, and how much of them lies in memory."""
    on_device = config.augment.device is AugmentDevice.model
    return Loading(config.loader_workers, config.loader_prefetch, config.data.memory_mb, on_device)


def windows(config: TrainConfig) -> WindowDraws | None:
    """Which windows of training images are learned from; None where whole images are."""
    spec = window_spec(config.model.window, config.data.image_size)
    return None if spec is None else WindowDraws(spec, config.model.window.per_image)


def optim(config: OptimConfig) -> OptimSpec:
    """How weights are learned."""
    return OptimSpec(**{name: getattr(config, name) for name in OptimSpec.__dataclass_fields__})


def recipe(config: TrainConfig, targets: npt.NDArray[np.floating], exclusive: bool) -> Recipe:
    """What a training step does beside the loss. targets: (N, K) of the training images."""
    weights = class_weights(targets, ClassWeights(config.optim.class_weights.value), exclusive)
    return Recipe(config.seed, MixSpec(config.augment.mixup, config.augment.cutmix), weights)


def early_stop(config: EarlyStopConfig, metric: str) -> pl.callbacks.EarlyStopping:
    """What ends a run whose metric no longer rises; a metric that isn't defined counts as no better."""
    patience = 1 if config.patience is None else config.patience
    return pl.callbacks.EarlyStopping(
        metric, min_delta=config.min_delta, patience=patience, mode="max", check_finite=False
    )


def device(config: dict[str, Any]) -> torch.device:
    """Where the first process of a trainer computes."""
    return torch.device("cuda" if config.get("accelerator") != "cpu" and torch.cuda.is_available() else "cpu")


def sharded(config: dict[str, Any]) -> bool:
    """Whether devices hold parts of a model each."""
    return "fsdp" in str(config.get("strategy")).lower()


def trainer(config: dict[str, Any], folder: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The Lightning trainer, without loggers yet. Raises ConfigError where Lightning refuses an argument."""
    try:
        shown = any(isinstance(c, pl.callbacks.ProgressBar) for c in callbacks)
        plugins = [] if sharded(config) else [WholeFiles()]  # Lightning writes the parts of a sharded model itself
        given = {"plugins": plugins, "default_root_dir": str(folder), "logger": False, "callbacks": callbacks}
        own = {name: value for name, value in config.items() if name != "auto_batch"}
        built = hydra.utils.instantiate(own, enable_progress_bar=shown, enable_model_summary=False, **given)
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise ConfigError(f"trainer: {str(cause).splitlines()[0]}") from error
    if not isinstance(built, pl.Trainer):
        raise ConfigError(f"trainer._target_ made a {type(built).__name__}; expected a pytorch_lightning.Trainer")
    return built
