"""train(): from a configuration to a run folder with its bundle."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger

from radvit import __version__, assemble, terminal
from radvit.bundle import Bundle, save_bundle
from radvit.config import TrainConfig
from radvit.data.checks import Leak, check_cohort
from radvit.data.datamodule import RadiographData
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, save_splits
from radvit.errors import ConfigError
from radvit.evaluation.calibrate import fit_calibration
from radvit.evaluation.card import model_card
from radvit.evaluation.operating_point import ThresholdRule, choose
from radvit.inference.engine import TorchEngine
from radvit.models.backbone import count_parameters
from radvit.models.vit import RadiographViT
from radvit.origin import git_commit, now
from radvit.provenance import versions
from radvit.run.answers import answers
from radvit.run.folder import CONFIG, LAST, SPLITS, keep_metrics, resumed
from radvit.run.unseen import remember
from radvit.training.callbacks import AveragedWeights, progress
from radvit.training.module import RadiographModule

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> Bundle:
    """Train a model into a run folder: configuration, metrics, checkpoint, splits and bundle."""
    if config.resume is not None:
        config = resumed(Path(config.resume))
    folder = Path(config.run_dir)
    terminal.quiet_libraries()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing here reads such memory; filling costs 5 %
    cohort = assemble.cohort(config.data, assemble.preprocess(config.data), config.deid, config.read)
    splits = assemble.splits(config.data, cohort, config.deid)
    leaks = check_cohort(cohort, splits, config.data.accept_leaks)
    save_splits(folder / SPLITS, splits, cohort.samples)
    OmegaConf.save(OmegaConf.structured(config), folder / CONFIG)
    model = assemble.model(config.model, config.data.image_size, len(cohort.labels))
    sizes = (len(splits.train), len(splits.val), len(splits.test))
    weights = count_parameters(model) / 1e6
    log.info("%s, %.2f M weights; %d training, %d validation, %d test images", config.model.name, weights, *sizes)
    fit(config, folder, model, cohort, splits)
    bundle = freeze(config, folder, model, cohort, splits, leaks)
    log.info("saved %s; next: python evaluate.py checkpoint=%s", bundle.folder, folder)
    return bundle


def fit(config: TrainConfig, folder: Path, model: RadiographViT, cohort: Cohort, splits: Splits) -> None:
    """Run Lightning's loop; afterwards the model holds the averaged weights."""
    data = RadiographData(
        cohort,
        splits,
        batch_size=config.optim.batch_size,
        augment=assemble.augment(config.augment),
        preprocess=assemble.preprocess(config.data),
        seed=config.seed,
        workers=config.loader_workers,
        in_memory=config.data.in_memory,
    )
    module = RadiographModule(model, assemble.optim(config.optim), exclusive(cohort))
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


def freeze(
    config: TrainConfig, folder: Path, model: RadiographViT, cohort: Cohort, splits: Splits, leaks: Sequence[Leak] = ()
) -> Bundle:
    """Choose calibration and operating point on the validation split, and save the bundle. leaks: accepted ones."""
    bundle = Bundle(
        folder=folder / "bundle",
        spec=model.spec,
        labels=cohort.labels,
        exclusive=exclusive(cohort),
        preprocess=assemble.preprocess(config.data),
        scope=assemble.scope(config.data),
        trained={
            "name": config.name,
            "seed": config.seed,
            "pretrained": config.model.pretrained,
            "weights_m": round(count_parameters(model) / 1e6, 2),
            "n_train": len(splits.train),
            "n_val": len(splits.val),
            "data_fingerprint": cohort.fingerprint,
            "split_hash": splits.hash,
            "accepted_leaks": [leak.to_dict() for leak in leaks],
            "version": __version__,
            "versions": versions(),
            "git_commit": git_commit(),
            "created": now(),
        },
    )
    if splits.val:
        engine = TorchEngine(model)
        platt = fit_calibration(answers(bundle, engine, cohort, splits.val))
        bundle = replace(bundle, calibration=platt.to_dict())
        rule = ThresholdRule(config.threshold.value)
        bundle = replace(bundle, operating_point=choose(answers(bundle, engine, cohort, splits.val), rule).to_dict())
    bundle = replace(bundle, trained=bundle.trained | {"training_images": remember(bundle, cohort, splits)})
    return save_bundle(bundle, model, model_card(bundle))


def exclusive(cohort: Cohort) -> bool:
    """Whether each image has exactly one of several labels and no boxes, so that a softmax fits."""
    targets = cohort.targets()
    boxes = any(sample.lesions for sample in cohort.samples)
    return len(cohort.labels) > 1 and not boxes and bool((targets.sum(1) == 1).all())
