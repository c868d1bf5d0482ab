"""The middle of train(): Lightning's loop, from a module and batches to trained weights."""

from __future__ import annotations

import signal
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger

from radvit import assemble
from radvit.config import TrainConfig
from radvit.data.datamodule import RadiographData
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import ConfigError
from radvit.run.folder import LAST, keep_metrics
from radvit.training.callbacks import AveragedWeights, progress


def fit(config: TrainConfig, folder: Path, module: pl.LightningModule, data: RadiographData) -> None:
    """Run Lightning's loop; afterwards the module holds the averaged weights."""
    last = ModelCheckpoint(dirpath=folder / LAST.parent, filename=LAST.stem, enable_version_counter=False)
    callbacks: list[Callback] = [progress(), last]
    if config.optim.ema_decay > 0:
        callbacks.append(AveragedWeights(config.optim.ema_decay))
    trainer = assemble.trainer(config.trainer, config.logger, folder, callbacks)
    keep_metrics(folder)
    try:
        trainer.fit(module, data, ckpt_path=str(folder / LAST) if config.resume else None)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}") from error
    except SystemExit as leaving:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning turned it off before it left
        raise KeyboardInterrupt from leaving
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()  # else the next run of a sweep would go on in this one's


def batches(config: TrainConfig, cohort: Cohort, splits: Splits) -> RadiographData:
    """The loaders of the splits."""
    return RadiographData(
        cohort,
        splits,
        batch_size=config.optim.batch_size,
        augment=assemble.augment(config.augment),
        preprocess=assemble.preprocess(config.data),
        seed=config.seed,
        workers=config.loader_workers,
        in_memory=config.data.in_memory,
    )


def exclusive(cohort: Cohort) -> bool:
    """Whether each image has exactly one of several labels and no boxes, so that a softmax fits."""
    targets = cohort.targets()
    boxes = any(sample.lesions for sample in cohort.samples)
    return len(cohort.labels) > 1 and not boxes and bool((targets.sum(1) == 1).all())
