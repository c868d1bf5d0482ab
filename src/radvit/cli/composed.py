"""A training configuration composed by Hydra outside of train.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import radvit
from radvit.errors import ConfigError

if TYPE_CHECKING:
    from radvit.config import TrainConfig

CONF = "conf"


def train_config(words: Sequence[str]) -> TrainConfig:
    """What train.py would run with these arguments, such as `experiment=NAME key=value`.

    Raises ConfigError, or an error of Hydra's, where they don't make a configuration.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from radvit import config
    from radvit.entry import expand

    odd = [word for word in words if "=" not in word or word.startswith("-")]
    if odd:
        raise ConfigError(f"{odd[0]}: expected key=value, as train.py takes it, such as experiment=phantom_nodule")
    config.register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        overrides = [expand(word) for word in words]
        plain = OmegaConf.to_object(compose("train", overrides=["run_dir=.", *overrides]))
    if not isinstance(plain, config.TrainConfig):
        raise ConfigError(f"{conf_folder()}: no configuration of train.py")
    return plain


def conf_folder() -> Path:
    """The working directory's conf/, else that of the checkout that radvit is installed from.

    Raises ConfigError where neither has one.
    """
    places = [Path.cwd() / CONF, Path(radvit.__file__).parents[2] / CONF]
    for place in places:
        if (place / "train.yaml").is_file():
            return place
    raise ConfigError(f"no {CONF}/train.yaml in {places[0].parent}; expected to run in a checkout of radvit")
