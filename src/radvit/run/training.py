"""train(): from a configuration to a run folder with its bundle."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from radvit import __version__, assemble, terminal
from radvit.bundle import Bundle, save_bundle
from radvit.config import TaskName, TrainConfig
from radvit.data.checks import check_cohort, check_masks
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, save_splits
from radvit.evaluation.calibrate import fit_calibration
from radvit.evaluation.card import model_card
from radvit.evaluation.operating_point import ThresholdRule, choose
from radvit.inference.engine import TorchEngine
from radvit.models.backbone import count_parameters
from radvit.models.vit import RadiographViT
from radvit.origin import git_commit, now
from radvit.provenance import versions
from radvit.run.answers import answers
from radvit.run.fitting import batches, exclusive, fit
from radvit.run.folder import CONFIG, SPLITS, resumed
from radvit.training.module import RadiographModule

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> Bundle:
    """Train a model into a run folder: configuration, metrics, checkpoint, splits and bundle."""
    if config.resume is not None:
        config = resumed(Path(config.resume))
    folder = Path(config.run_dir)
    begin(config)
    cohort = assemble.cohort(config.data, assemble.preprocess(config.data), config.deid, config.read)
    splits = assemble.splits(config.data, cohort)
    check_cohort(cohort, splits)
    if config.model.task is TaskName.segment:
        check_masks(cohort)
    save_splits(folder / SPLITS, splits, cohort.samples)
    OmegaConf.save(OmegaConf.structured(config), folder / CONFIG)
    model = assemble.model(config.model, config.data.image_size, len(cohort.labels))
    sizes = (len(splits.train), len(splits.val), len(splits.test))
    weights = count_parameters(model) / 1e6
    log.info("%s, %.2f M weights; %d training, %d validation, %d test images", config.model.name, weights, *sizes)
    module = RadiographModule(model, assemble.optim(config.optim), exclusive(cohort))
    fit(config, folder, module, batches(config, cohort, splits))
    bundle = freeze(config, folder, model, cohort, splits)
    log.info("saved %s; next: python evaluate.py checkpoint=%s", bundle.folder, folder)
    return bundle


def begin(config: TrainConfig) -> None:
    """Quiet the libraries and seed every generator."""
    terminal.quiet_libraries()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing here reads such memory; filling costs 5 %


def freeze(config: TrainConfig, folder: Path, model: RadiographViT, cohort: Cohort, splits: Splits) -> Bundle:
    """Choose calibration and operating point on the validation split, and save the bundle."""
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
    return save_bundle(bundle, model, model_card(bundle))
