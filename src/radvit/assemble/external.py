"""Data sets that a trained model is held against, each described in a YAML file of the `data` group's form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from radvit.config import DataConfig, SourceKind
from radvit.errors import ConfigError

INTERNAL = "internal"  # the folder of the model's own test split
TAKEN = (INTERNAL, "figures")
WHOLE = {"train": 0.0, "val": 0.0, "test": 1.0}


def external_sets(paths: Sequence[str], labels: Sequence[str]) -> dict[str, DataConfig]:
    """Data sets by name, out of YAML files. labels: of the model, for sets that name none.

    A file holds one data set, in the form of conf/data/*.yaml and named as the file, or several as `NAME: {data: ...}`.
    A set that names no split is measured whole. Raises ConfigError where a file can't be read or a name stands twice.
    """
    found: dict[str, DataConfig] = {}
    for path in map(Path, paths):
        for name, given in _described(path):
            if name in found or name in TAKEN or not re.fullmatch(r"\w[\w.+-]*", name):
                raise ConfigError(f"external={path}: a data set named {name}; expected letters, a name of its own each")
            found[name] = _typed(path, given, labels)
    return found


def _described(path: Path) -> Iterator[tuple[str, DictConfig]]:
    try:
        document = OmegaConf.load(path)
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"external={path} can't be read as YAML ({type(error).__name__})") from error
    if not isinstance(document, DictConfig) or not document:
        raise ConfigError(
            f"external={path} holds no data set; expected keys such as path and truth, or NAME: data: ..."
        )
    blocks = {str(name): block for name, block in document.items_ex(resolve=False)}
    if all(isinstance(block, DictConfig) and set(block) == {"data"} for block in blocks.values()):
        for name, block in blocks.items():
            if not isinstance(block.data, DictConfig):
                raise ConfigError(f"external={path}: {name}.data is no mapping; expected keys such as path and truth")
            yield name, block.data
    else:
        yield path.stem, document


def _typed(path: Path, given: DictConfig, labels: Sequence[str]) -> DataConfig:
    """The data set against its schema."""
    plain = OmegaConf.to_container(given)
    own = {str(key): value for key, value in plain.items() if key != "defaults"} if isinstance(plain, dict) else {}
    if given.get("defaults", ["schema"]) != ["schema"]:
        raise ConfigError(f"external={path}: defaults other than schema; expected all keys in the file itself")
    usual = {"labels": list(labels), **({} if "split" in own else {"split": WHOLE})}
    try:
        data = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DataConfig), usual, own))
    except (OmegaConfBaseException, ConfigError) as error:
        raise ConfigError(f"external={path}: {str(error).splitlines()[0]}") from error
    if not isinstance(data, DataConfig) or data.kind is SourceKind.run:
        raise ConfigError(f"external={path}: kind=run is the model's own data; expected another data set")
    return data
