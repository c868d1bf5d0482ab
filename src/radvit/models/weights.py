"""Weights that a model starts from: those of a run of radvit, or of a safetensors file with the same names."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone

FILE = "model.safetensors"
PREFIX = "backbone."


def load_backbone(backbone: Backbone, path: Path) -> None:
    """Give a backbone the weights of a run folder, a bundle, an encoder or a safetensors file.

    Raises ConfigError where there are none, or where their names or shapes are not those of the backbone.
    """
    file = weights_file(path)
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"model.weights={path}: {file.name} is no safetensors file ({error})") from error
    own = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}
    expected = {name: tuple(value.shape) for name, value in backbone.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in own.items()}
    odd = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if odd:
        first = f"{odd[0]} is {found.get(odd[0], 'missing')}, expected {expected.get(odd[0], 'no such weight')}"
        raise ConfigError(f"model.weights={path} fits another backbone or image size: {first}; {len(odd)} differ")
    backbone.load_state_dict(own)


def weights_file(path: Path) -> Path:
    """The file of weights that a path means. Raises ConfigError where there is none."""
    if path.is_file():
        return path
    for folder in (path, path / "bundle", path / "encoder"):
        if (folder / FILE).is_file():
            return folder / FILE
    raise ConfigError(f"model.weights={path}: no {FILE} there; expected a run folder, a bundle or a safetensors file")
