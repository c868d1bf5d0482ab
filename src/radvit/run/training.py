"""train(): from a configuration to a run folder with its bundle."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from radvit import assemble, terminal
from radvit.bundle import Bundle, load_bundle, save_bundle
from radvit.config import DataConfig, TaskName, TrainConfig
from radvit.data.checks import Leak, check_boxes, check_cohort, check_masks
from radvit.data.datamodule import RadiographData
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, save_splits
from radvit.evaluation.card import model_card
from radvit.inference.torch_engine import TorchEngine
from radvit.models.adapt import merge
from radvit.models.backbone import Normalisation, count_parameters
from radvit.models.vit import RadiographViT
from radvit.plural import counted
from radvit.provenance import learned_from
from radvit.run.fitting import batches, exclusive, fit, kept, learner, with_fitting_batch
from radvit.run.folder import CONFIG, SPLITS, begun, finished, saved_config
from radvit.run.judging import check_judging, judged
from radvit.run.unseen import remember
from radvit.training import ranks
from radvit.training.int8_aware import make_int8_aware, make_plain
from radvit.training.module import RadiographModule

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that training begins with. leaks: those between splits that were accepted."""

    config: TrainConfig
    cohort: Cohort
    splits: Splits
    model: RadiographViT
    leaks: Sequence[Leak] = ()

    @property
    def data(self) -> RadiographData:
        """The batches."""
        return batches(self.config, self.cohort, self.splits)

    @property
    def module(self) -> RadiographModule:
        """The module around the model."""
        return learner(self.config, self.model, self.cohort, self.splits)


def train(config: TrainConfig) -> Bundle:
    """Train a model into a run folder: configuration, metrics, checkpoints, splits and bundle.

    Where several processes train together, each calls this; the first alone reads images and writes. A finished run
    that is resumed is left as it is. Raises StoppedError where a signal ended the run, which can then go on.
    """
    first = ranks.rank() == 0
    config = begun(config)
    folder = Path(config.run_dir)
    done = finished(folder) if config.resume else None
    if done is not None:
        log.info("%s has finished; nothing to do. Next: python evaluate.py checkpoint=%s", done.folder, folder)
        return done
    begin(config)
    ready = ranks.first_then_all(lambda: prepare(config, folder))
    fit(ready.config, folder, ready.module, ready.data)
    merge(ready.model.backbone)
    if config.int8_aware:
        make_plain(ready.model)
    if first:
        bundle = freeze(ready.config, folder, ready.model, ready.cohort, ready.splits, ready.leaks)
        log.info("saved %s; next: python evaluate.py checkpoint=%s", bundle.folder, folder)
    ranks.wait_for_all()
    return bundle if first else load_bundle(folder)


def begin(config: TrainConfig) -> None:
    """Set up this process: seeds, and silence of libraries and of all processes but the first."""
    terminal.quiet_libraries()
    if ranks.rank() > 0:
        logging.getLogger("radvit").setLevel(logging.WARNING)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing here reads such memory; filling costs 5 %


def prepare(config: TrainConfig, folder: Path) -> Prepared:
    """Images, splits and a fresh model; the first process writes into the run folder what the others read there."""
    cohort = assemble.cohort(config.data, assemble.preprocess(config.data), config.deid, config.read)
    splits = assemble.splits(config.data, cohort, config.deid)
    model = assemble.model(config.model, config.data.image_size, len(cohort.labels), normalisation(config.data))
    if config.int8_aware:
        log.info("%s rounded as INT8 will", counted(make_int8_aware(model), "layer"))
    if ranks.rank() > 0:
        return Prepared(as_settled(config, folder), cohort, splits, model)
    leaks = check_cohort(cohort, splits, config.data.accept_leaks)
    if config.model.task is TaskName.detect:
        check_boxes(cohort, splits)
    if config.model.task is TaskName.segment:
        check_masks(cohort)
    check_judging(config, cohort, splits)
    config = with_fitting_batch(config, learner(config, model, cohort, splits), cohort, splits)
    save_splits(folder / SPLITS, splits, cohort.samples)
    OmegaConf.save(OmegaConf.structured(config), folder / CONFIG)
    sizes = (len(splits.train), len(splits.val), len(splits.test))
    weights, learned = (count_parameters(model, frozen) / 1e6 for frozen in (True, False))
    log.info("%s, %.2f M weights, %.2f M of them trained", config.model.name, weights, learned)
    log.info("%d training, %d validation, %d test images", *sizes)
    return Prepared(config, cohort, splits, model, leaks)


def as_settled(config: TrainConfig, folder: Path) -> TrainConfig:
    """The configuration with what the first process found out about batches and wrote into the run folder."""
    saved = saved_config(folder)
    return replace(config, trainer=saved.trainer, optim=saved.optim)


def normalisation(data: DataConfig) -> Normalisation:
    """What images are normalised with before they reach the model."""
    return Normalisation((data.mean,), (data.std,))


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
            **learned_from(config.name, config.seed, cohort, splits),
            "pretrained": config.model.pretrained,
            "weights": Path(config.model.weights).name if config.model.weights else None,
            "adapt": config.model.adapt.value,
            "int8_aware": config.int8_aware,
            "kept": kept(config).value,
            "weights_m": round(count_parameters(model, frozen=True) / 1e6, 2),
            "accepted_leaks": [leak.to_dict() for leak in leaks],
        },
    )
    if splits.val:
        bundle = judged(config, bundle, TorchEngine(model), cohort, splits)
    known = remember(bundle.folder, cohort, splits, config.model.weights)
    bundle = replace(bundle, trained=bundle.trained | {"training_images": known})
    return save_bundle(bundle, model, model_card(bundle))
