"""Configuration to components: the only place below the entry points that reads a schema."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import hydra.utils
import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException

from radvit.bundle import Scope
from radvit.config import (
    AugmentConfig,
    DataConfig,
    DeidConfig,
    ModelConfig,
    OptimConfig,
    PixelText,
    ReadConfig,
    SourceKind,
    TaskName,
    WindowConfig,
)
from radvit.data.cache import load_cohort
from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.medmnist import MedMnist
from radvit.data.splits import Splits, official_splits, split_by_patient
from radvit.data.transforms import AugmentSpec
from radvit.deid.burned_in import BurnedIn, Depth, Mode
from radvit.deid.key import read_or_create_key
from radvit.deid.options import Option, Options
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.limits import Limits
from radvit.dicom.select import Selection, read_rules
from radvit.dicom.voi import Rule, Voi
from radvit.errors import ConfigError
from radvit.models.backbone import BackboneSpec
from radvit.models.vit import ModelSpec, RadiographViT
from radvit.pool import Guard
from radvit.records import Task
from radvit.terminal import bar
from radvit.training.optim import OptimSpec

log = logging.getLogger(__name__)


def loader(deid: DeidConfig, read: ReadConfig, voi: Voi, select: str | None) -> Loader:
    """The de-identifying loader with the project's key. select: a file of selection rules."""
    return Loader(
        Pseudonymizer(read_or_create_key(Path(deid.key) if deid.key else None), deid.project),
        limits=limits(read),
        options=options(deid),
        burned_in=burned_in(deid.pixel_text),
        voi=voi,
        selection=read_rules(Path(select)) if select else Selection(),
    )


def options(config: DeidConfig) -> Options:
    """The options of the Basic Profile that are in force."""
    told = {
        Option.MODIFIED_DATES: config.modified_dates,
        Option.FULL_DATES: config.full_dates,
        Option.PATIENT_CHARACTERISTICS: config.patient_characteristics,
        Option.CLEAN_PIXELS: config.pixel_text is not PixelText.off,
    }
    return frozenset(option for option, on in told.items() if on)


def burned_in(config: PixelText) -> BurnedIn:
    """How text in the pixels is looked for."""
    depth = Depth.THOROUGH if config is PixelText.thorough else Depth.QUICK
    return BurnedIn(Mode.OFF if config is PixelText.off else Mode.SUSPECT, depth)


def limits(config: ReadConfig) -> Limits:
    """What is too large to read."""
    return Limits(
        file_bytes=config.file_mb << 20,
        inflated_bytes=config.inflated_mb << 20,
        pixel_bytes=config.pixel_mb << 20,
        frames=config.frames,
        side=config.side,
        depth=config.depth,
        elements=config.elements,
    )


def guard(config: ReadConfig) -> Guard:
    """What reading one file may take in a worker process."""
    return Guard(config.memory_mb, config.deadline_s)


def source(config: DataConfig, deid: DeidConfig, read: ReadConfig, voi: Voi) -> Source:
    """Where images come from. Raises ConfigError where the configuration does not say."""
    if config.kind is SourceKind.run:
        raise ConfigError("data=run is the data of a trained model, for evaluate.py; expected data=dicom or another")
    if config.path is None:
        raise ConfigError("data.path is not set; expected a folder of DICOM files or an npz file")
    path = Path(config.path)
    if config.kind is SourceKind.medmnist:
        return MedMnist(path)
    truth = Path(config.truth) if config.truth else None
    return DicomFolder(path, loader(deid, read, voi, config.select), truth, tuple(config.labels))


def preprocess(config: DataConfig) -> Preprocess:
    """How pixels become what a model sees."""
    return Preprocess(config.image_size, config.mean, config.std, voi(config.window))


def voi(config: WindowConfig) -> Voi:
    """Which window is applied."""
    return Voi(Rule[config.rule.name.upper()], config.explanation, config.center, config.width)


def cohort(config: DataConfig, fitting: Preprocess, deid: DeidConfig, read: ReadConfig) -> Cohort:
    """The cached, de-identified images of a data set; decoded once."""
    images = source(config, deid, read, fitting.voi)
    with bar("reading images") as advance:
        return load_cohort(images, fitting, Path(config.cache), config.workers, advance, guard(read))


def splits(config: DataConfig, images: Cohort) -> Splits:
    """Train, val and test, by patient or as the data set has them."""
    if config.split.official:
        return official_splits(images)
    fractions = (config.split.train, config.split.val, config.split.test)
    return split_by_patient(images.samples, fractions, config.split.seed)


def scope(config: DataConfig) -> Scope:
    """What a model trained on this data may be asked about."""
    wanted = config.scope
    return Scope(tuple(wanted.modalities), tuple(wanted.body_parts), tuple(wanted.views))


def model_spec(config: ModelConfig, image_size: int, classes: int) -> ModelSpec:
    """The architecture."""
    backbone = BackboneSpec(
        name=config.name,
        image_size=image_size,
        stem=tuple(config.stem),
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        drop_path=config.drop_path,
    )
    return ModelSpec(
        task=Task.DETECT if config.task is TaskName.detect else Task.CLASSIFY,
        classes=classes,
        backbone=backbone,
        hidden=config.hidden,
        dropout=config.dropout,
        pool=config.pool,
        strides=tuple(config.strides),
        width=config.width,
    )


def model(config: ModelConfig, image_size: int, classes: int) -> RadiographViT:
    """The model, with published weights where `pretrained` asks for them; convolutions run channels-last."""
    built = RadiographViT(model_spec(config, image_size, classes), config.pretrained)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def augment(config: AugmentConfig) -> AugmentSpec:
    """How training images are changed at random."""
    return AugmentSpec(**{name: getattr(config, name) for name in AugmentSpec.__dataclass_fields__})


def optim(config: OptimConfig) -> OptimSpec:
    """How weights are learned."""
    return OptimSpec(**{name: getattr(config, name) for name in OptimSpec.__dataclass_fields__})


def trainer(config: dict[str, Any], loggers: dict[str, Any], folder: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The Lightning trainer. Raises ConfigError where Lightning refuses an argument."""
    try:
        made = [hydra.utils.instantiate(one) for one in loggers.values()]
        shown = any(isinstance(c, pl.callbacks.ProgressBar) for c in callbacks)
        given = {"default_root_dir": str(folder), "logger": made, "callbacks": callbacks}
        built = hydra.utils.instantiate(config, enable_progress_bar=shown, enable_model_summary=False, **given)
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise ConfigError(f"trainer or logger: {str(cause).splitlines()[0]}") from error
    if not isinstance(built, pl.Trainer):
        raise ConfigError(f"trainer._target_ made a {type(built).__name__}; expected a pytorch_lightning.Trainer")
    return built
