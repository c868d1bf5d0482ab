"""Sources, cohorts and splits."""

from __future__ import annotations

import logging
from pathlib import Path

from radvit.assemble.reading import guard
from radvit.assemble.sources import source
from radvit.bundle import Scope
from radvit.config import (
    DataConfig,
    DeidConfig,
    ReadConfig,
    WindowConfig,
)
from radvit.data.cache import load_cohort
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, official_splits, split_by_patient
from radvit.dicom.voi import Rule, Voi
from radvit.terminal import bar

log = logging.getLogger(__name__)


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
