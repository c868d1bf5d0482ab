"""The middle of train(): Lightning's loop from a cohort and a model to trained weights."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback

from radvit import assemble, terminal
from radvit.config import Keep, SamplerName, TrainConfig
from radvit.data.datamodule import RadiographData
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import ConfigError, StoppedError
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.run.folder import BEST, LAST, keep_metrics
from radvit.run.tracking import tracked
from radvit.training import ranks
from radvit.training.auto_batch import Learner, Trial, fitting, limit_of
from radvit.training.callbacks import AveragedWeights, progress
from radvit.training.checkpoints import Checkpoints, Rhythm
from radvit.training.means import Means
from radvit.training.module import RadiographModule
from radvit.training.pruning import Validations
from radvit.trial import VALIDATION, write_json

log = logging.getLogger(__name__)


def fit(
    config: TrainConfig,
    folder: Path,
    module: pl.LightningModule,
    data: RadiographData,
    watching: Sequence[Callback] = (),
) -> None:
    """Run Lightning's loop; afterwards the module holds the weights that are kept. watching: further callbacks."""
    trainer = assemble.trainer(config.trainer, folder, [*callbacks(config, folder, module), *watching])
    if ranks.rank() == 0:
        keep_metrics(folder)
    model = module.get_submodule("model")
    if config.compile:
        model.compile()  # in place: names of weights stay those of the plain model
    with tracked(config, folder) as loggers:
        trainer.loggers = loggers
        run_loop(trainer, module, data, folder, folder / LAST if config.resume else None)
    model._compiled_call_impl = None  # what comes next sees batches of other sizes
    if kept(config) is Keep.best:
        load_best(module, folder)


def batches(config: TrainConfig, cohort: Cohort, splits: Splits) -> RadiographData:
    """The loaders of the splits, with as much of the cache in memory as the configuration allows."""
    with terminal.bar("holding images in memory") as advance:
        return RadiographData(
            cohort,
            splits,
            batch_size=config.optim.batch_size,
            augment=assemble.augment(config.augment),
            preprocess=assemble.preprocess(config.data),
            seed=config.seed,
            loading=assemble.loading(config),
            progress=advance,
            balanced=config.optim.sampler is SamplerName.balanced,
            windows=assemble.windows(config),
        )


def learner(config: TrainConfig, model: RadiographViT, cohort: Cohort, splits: Splits) -> RadiographModule:
    """The module that learns a task. Raises ConfigError where a recipe doesn't fit the task."""
    if model.spec.task is not Task.CLASSIFY and (config.augment.mixup or config.augment.cutmix):
        raise ConfigError("augment.mixup and augment.cutmix are for model.task=classify; expected 0 for both")
    alone = exclusive(cohort)
    recipe = assemble.recipe(config, cohort.targets()[np.asarray(splits.train, np.int64)], alone)
    return RadiographModule(model, assemble.optim(config.optim), alone, recipe)


def callbacks(config: TrainConfig, folder: Path, module: pl.LightningModule) -> list[Callback]:
    """Progress, averaged weights, early stop and checkpoints."""
    made: list[Callback] = [progress(), Validations(folder)]
    weights = partial(whole_weights, module)
    if config.optim.ema_decay > 0:
        if assemble.sharded(config.trainer):
            raise ConfigError(f"optim.ema_decay={config.optim.ema_decay} with trainer=fsdp; expected 0, no average")
        averaged = AveragedWeights(config.optim.ema_decay)
        made.append(averaged)
        weights = partial(averaged.weights, module)
    scored = module if isinstance(module, RadiographModule) else None
    if config.early_stop.patience is not None and scored:
        made.append(assemble.early_stop(config.early_stop, scored.metric))
    rhythm = Rhythm(config.checkpoint.every_steps, config.checkpoint.every_minutes)
    means, metric = (scored.means["train"], scored.metric) if scored else (Means(), None)
    made.append(Checkpoints((folder / LAST).parent, rhythm, metric, weights, means))
    return made


def whole_weights(module: pl.LightningModule) -> dict[str, Any]:
    """The module's weights by name, gathered where devices hold parts of them."""
    return dict(module.trainer.strategy.lightning_module_state_dict())


def run_loop(
    trainer: pl.Trainer, module: pl.LightningModule, data: RadiographData, folder: Path, checkpoint: Path | None
) -> None:
    """trainer.fit. Raises StoppedError where a signal ended it, saying how to go on; KeyboardInterrupt at a second."""
    try:
        trainer.fit(module, data, ckpt_path=checkpoint)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}") from error
    except StoppedError as stopped:
        if ranks.rank() > 0:
            raise SystemExit(
                0
            ) from stopped  # the first process speaks for all; Lightning would kill it at another code
        raise StoppedError(f"{stopped}; to go on: python train.py resume={folder}", stopped.code) from stopped
    except SystemExit as leaving:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning turned it off before it left
        raise KeyboardInterrupt from leaving


def kept(config: TrainConfig) -> Keep:
    """Which weights go into the bundle.

    The last ones unless a run may stop early: choosing the best of many validations on a small split picks luck as well
    as skill, and calibration and threshold are fitted on the same split. Where training stopped early the schedule has
    not run out, and the last weights are by definition worse than earlier ones.
    """
    if config.keep is not Keep.auto:
        return config.keep
    return Keep.last if config.early_stop.patience is None else Keep.best


def load_best(module: pl.LightningModule, folder: Path) -> None:
    """Give the module its best weights, and validation.json what they scored; the last stay where none had a metric."""
    if not (folder / BEST).is_file():
        log.warning("no validation had a metric (one class only, or no image): the last weights are kept")
        return
    record = torch.load(folder / BEST, map_location="cpu", weights_only=True)
    module.load_state_dict(record["state_dict"])
    if ranks.rank() == 0:
        metrics = {name: value for name, value in record.items() if name.startswith("val/")}
        write_json(folder / VALIDATION, {"epoch": record["epoch"] + 1, "metrics": metrics})


def with_fitting_batch(config: TrainConfig, module: Learner, cohort: Cohort, splits: Splits) -> TrainConfig:
    """The configuration with the largest batches that fit, if `trainer.auto_batch` asks for them."""
    if not config.trainer.get("auto_batch"):
        return config
    data = batches(config, cohort, splits)
    device = assemble.device(config.trainer)
    amp = "bf16" in str(config.trainer.get("precision"))
    finish = partial(data.on_after_batch_transfer, dataloader_idx=0)
    trial = Trial(module, data.train_dataloader().dataset, device, amp, finish)
    effective = config.optim.batch_size * int(config.trainer.get("accumulate_grad_batches", 1))
    fit = fitting(effective, trial, limit_of(device))
    log.info("batches of %d images, %d of them a step, fit into memory", fit.images, fit.batches)
    trainer = {**config.trainer, "auto_batch": False, "accumulate_grad_batches": fit.batches}
    return replace(config, trainer=trainer, optim=replace(config.optim, batch_size=fit.images))


def exclusive(cohort: Cohort) -> bool:
    """Whether each image has exactly one of several labels and no boxes, so that a softmax fits."""
    targets = cohort.targets()
    boxes = any(sample.lesions for sample in cohort.samples)
    return len(cohort.labels) > 1 and not boxes and bool((targets.sum(1) == 1).all())
