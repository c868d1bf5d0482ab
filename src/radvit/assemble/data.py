"""Sources, cohorts and splits."""

from __future__ import annotations

import logging
from pathlib import Path

from radvit.assemble.reading import guard, pseudonymizer
from radvit.assemble.sources import source
from radvit.bundle import Scope
from radvit.config import (
    DataConfig,
    DeidConfig,
    ReadConfig,
    SplitKind,
    WindowConfig,
)
from radvit.data.cache import load_cohort
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import (
    Splits,
    official_splits,
    read_splits,
    split_by_patient,
    split_by_site,
    split_fold,
    split_stratified,
)
from radvit.dicom.voi import Rule, Voi
from radvit.terminal import bar

log = logging.getLogger(__name__)


def preprocess(config: DataConfig) -> Preprocess:
    """How pixels become what a model sees."""
    return Preprocess(config.image_size, config.mean, config.std, voi(config.window), config.crop_border)


def voi(config: WindowConfig) -> Voi:
    """Which window is applied."""
    return Voi(Rule[config.rule.name.upper()], config.explanation, config.center, config.width)


def cohort(config: DataConfig, fitting: Preprocess, deid: DeidConfig, read: ReadConfig) -> Cohort:
    """The cached, de-identified images of a data set; decoded once."""
    images = source(config, deid, read, fitting.voi)
    with bar("reading images") as advance:
        return load_cohort(images, fitting, Path(config.cache), config.workers, advance, guard(read))


def splits(config: DataConfig, images: Cohort, deid: DeidConfig) -> Splits:
    """Train, val and test, divided as the configuration says."""
    how = config.split
    fractions = (how.train, how.val, how.test)
    match how.chosen:
        case SplitKind.official:
            return official_splits(images, how.val_share, how.seed)
        case SplitKind.stratified:
            return split_stratified(images.samples, fractions, how.seed)
        case SplitKind.kfold:
            return split_fold(images.samples, how.folds, how.fold, how.val_share, how.seed)
        case SplitKind.site:
            return split_by_site(images.samples, how.column or "", how.hold_out, how.val_share, how.seed)
        case SplitKind.file:
            return read_splits(Path(how.file or ""), images, pseudonymizer(deid), how.val_share, how.seed)
        case SplitKind.patient:
            return split_by_patient(images.samples, fractions, how.seed)


def scope(config: DataConfig) -> Scope:
    """What a model trained on this data may be asked about."""
    wanted = config.scope
    return Scope(tuple(wanted.modalities), tuple(wanted.body_parts), tuple(wanted.views))
