"""Where `model.weights` points: a run or a bundle, a folder of timm or transformers, or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radvit.bundle import RECORD, WEIGHTS, load_bundle
from radvit.errors import BundleError, ConfigError
from radvit.models.backbone import Backbone, BackboneSpec, Normalisation, Weights
from radvit.models.backbone.saving import noted
from radvit.models.weight_files import read_weights

LIBRARY = "config.json"  # in a folder that timm or transformers saved
OWN = ("", "bundle", "encoder")  # where in a run its weights lie


def weights_at(path: Path, backbone: Backbone) -> Weights:
    """The weights at a path: of a run, a bundle or an encoder; of a folder of timm or transformers; of a file.

    Raises ConfigError where there are none.
    """
    if not path.exists():
        raise ConfigError(f"model.weights={path} does not exist")
    if path.is_file():
        state = read_weights(path)
        return Weights(str(path), state, expected_by(path, backbone))
    folder = own_folder(path)
    if folder is not None:
        return Weights(str(folder), read_weights(folder / WEIGHTS), recorded(folder / RECORD))
    if not (path / LIBRARY).is_file():
        raise ConfigError(
            f"model.weights={path}: neither a finished run in it, with {' or '.join(OWN[1:])}, nor a {LIBRARY} of timm "
            "or transformers"
        )
    state, expected = backbone.adapter.published(str(path))
    return Weights(str(path), state, expected)


def own_folder(path: Path) -> Path | None:
    """Where in a folder a run left its weights; None where it is no run's."""
    folders = (path / name for name in OWN)
    return next((f for f in folders if (f / RECORD).is_file() and (f / WEIGHTS).is_file()), None)


def expected_by(file: Path, backbone: Backbone) -> Normalisation | None:
    """What the weights in a file expect: what the file notes, a run's record beside it, or the named model's own."""
    record = file.parent / RECORD
    beside = recorded(record) if record.is_file() else None
    return noted(file) or beside or backbone.adapter.expected()


def recorded(record: Path) -> Normalisation:
    """How the run that left a record normalised. Raises ConfigError where it does not say."""
    try:
        fields: dict[str, Any] = json.loads(record.read_text())["preprocess"]
        return Normalisation((float(fields["mean"]),), (float(fields["std"]),))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{record}: does not say how its model's images were normalised") from error


def trained_backbone(path: Path) -> tuple[Backbone, Normalisation]:
    """The backbone of a run, of a bundle, or of a pretraining run that left an encoder; and what it expects.

    Raises BundleError where there is none, or where its weights don't fit its record.
    """
    folder = own_folder(path)
    if folder is None:
        raise BundleError(f"{path} is no run: no {RECORD} with {WEIGHTS} in it")
    try:
        record = json.loads((folder / RECORD).read_text())
        if "backbone" not in record:
            return load_bundle(folder).model().backbone, recorded(folder / RECORD)
        spec = BackboneSpec(**{**record["backbone"], "stem": tuple(record["backbone"]["stem"])})
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{folder / RECORD}: not a record of a model: {type(error).__name__} {error}") from error
    backbone = Backbone(spec).eval()
    backbone.load(Weights(str(folder), read_weights(folder / WEIGHTS), None))
    return backbone, recorded(folder / RECORD)
