"""Where `model.weights` points: a run or a bundle, a folder of timm or transformers, or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radvit.bundle import RECORD, WEIGHTS
from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, Normalisation, Weights
from radvit.models.weight_files import read_weights

OWN = ("", "bundle", "encoder")  # where in a run its weights lie


def weights_at(path: Path, backbone: Backbone) -> Weights:
    """The weights at a path: of a run, a bundle or an encoder; of a folder of timm or transformers; of a file.

    Raises ConfigError where there are none.
    """
    if not path.exists():
        raise ConfigError(f"model.weights={path} does not exist")
    if path.is_file():
        return Weights(str(path), read_weights(path), normalisation_beside(path, backbone))
    for folder in (path / name for name in OWN):
        if (folder / RECORD).is_file() and (folder / WEIGHTS).is_file():
            return Weights(str(folder), read_weights(folder / WEIGHTS), recorded(folder / RECORD))
    state, expected = backbone.adapter.published(str(path))
    return Weights(str(path), state, expected)


def normalisation_beside(file: Path, backbone: Backbone) -> Normalisation | None:
    """What the weights of a file expect: a run's record beside it says, else what the named model's do."""
    record = file.parent / RECORD
    return recorded(record) if record.is_file() else backbone.adapter.expected()


def recorded(record: Path) -> Normalisation:
    """How the run that left a record normalised. Raises ConfigError where it does not say."""
    try:
        fields: dict[str, Any] = json.loads(record.read_text())["preprocess"]
        return Normalisation((float(fields["mean"]),), (float(fields["std"]),))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{record}: does not say how its model's images were normalised") from error
