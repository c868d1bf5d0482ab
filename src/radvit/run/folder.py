"""A run folder: what lies where in it, and what it says of its run."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from radvit.bundle import CARD, Bundle, load_bundle
from radvit.config import TrainConfig
from radvit.errors import BundleError, ConfigError
from radvit.training import checkpoints

LAST, BEST = (Path("checkpoints") / name for name in (checkpoints.LAST, checkpoints.BEST))
AUTO = "auto"
CONFIG, SPLITS, METRICS = "config.yaml", "splits.json", "metrics.csv"
RETIRED = ("data.in_memory",)  # now data.memory_mb


def saved_config(folder: Path) -> TrainConfig:
    """The configuration a run was trained with. Raises ConfigError where the folder has none that fits."""
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder}: no {CONFIG}; expected a run folder of train.py, or data=NAME data.path=DIR")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(TrainConfig), _without_retired(OmegaConf.load(folder / CONFIG)))
        config = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder / CONFIG} is no configuration of train.py: {str(error).splitlines()[0]}") from error
    if not isinstance(config, TrainConfig):
        raise ConfigError(f"{folder / CONFIG} is no configuration of train.py")
    return config


def _without_retired(saved: Any) -> Any:
    """A saved configuration without keys of earlier versions that never changed what was learned."""
    for key in RETIRED:
        group, _, name = key.rpartition(".")
        below = OmegaConf.select(saved, group)
        if isinstance(below, DictConfig):
            below.pop(name, None)
    return saved


def begun(config: TrainConfig) -> TrainConfig:
    """The configuration to train with: the given one, or that of the run to go on with. Raises ConfigError as above."""
    if config.resume == AUTO:
        folder = Path(config.run_dir)
        return resumed(folder) if (folder / CONFIG).is_file() else replace(config, resume=None)
    return config if config.resume is None else resumed(Path(config.resume))


def finished(folder: Path) -> Bundle | None:
    """The bundle of a run that came to its end, None where it has not; the card is what is written last."""
    try:
        return load_bundle(folder) if (folder / "bundle" / CARD).is_file() else None
    except BundleError:
        return None


def resumed(folder: Path) -> TrainConfig:
    """The configuration of a run that stopped before its end; one that has no checkpoint yet begins anew.

    Raises ConfigError where there is no such run.
    """
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"resume={folder}: no {CONFIG} there; expected a run folder of train.py")
    going_on = (folder / LAST).is_file()
    if going_on and not zipfile.is_zipfile(folder / LAST):
        raise ConfigError(f"resume={folder}: {LAST} is damaged; this run can't go on")
    saved = saved_config(folder)
    moved = {
        name: {key: str(folder) if value == saved.run_dir else value for key, value in logger.items()}
        for name, logger in saved.logger.items()
    }
    return replace(saved, run_dir=str(folder), resume=str(folder) if going_on else None, logger=moved)


def keep_metrics(folder: Path) -> None:
    """Number the metrics of a run's earlier part, metrics.1.csv and so on: the logger would write over them."""
    if (folder / METRICS).is_file():
        (folder / METRICS).rename(folder / f"metrics.{len(list(folder.glob('metrics.*.csv'))) + 1}.csv")


def run_folder(bundle: Bundle) -> Path:
    """The run a bundle came from, or the bundle's own folder where it stands alone."""
    return bundle.folder.parent if (bundle.folder.parent / CONFIG).is_file() else bundle.folder
