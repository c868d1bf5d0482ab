"""How files are read and lose their identity."""

from __future__ import annotations

import logging
from pathlib import Path

from radvit.config import (
    DeidConfig,
    PixelText,
    ReadConfig,
)
from radvit.data.loader import Loader
from radvit.deid.burned_in import BurnedIn, Depth, Mode
from radvit.deid.key import read_or_create_key
from radvit.deid.options import Option, Options
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.limits import Limits
from radvit.dicom.select import Selection, read_rules
from radvit.dicom.voi import Voi
from radvit.pool import Guard

log = logging.getLogger(__name__)


def loader(deid: DeidConfig, read: ReadConfig, voi: Voi, select: str | None) -> Loader:
    """The de-identifying loader with the project's key. select: a file of selection rules."""
    return Loader(
        pseudonymizer(deid),
        limits=limits(read),
        options=options(deid),
        burned_in=burned_in(deid.pixel_text),
        voi=voi,
        selection=read_rules(Path(select)) if select else Selection(),
    )


def pseudonymizer(config: DeidConfig) -> Pseudonymizer:
    """What makes pseudonyms, with the project's key."""
    return Pseudonymizer(read_or_create_key(Path(config.key) if config.key else None), config.project)


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
