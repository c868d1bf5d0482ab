"""A trained backbone written as other libraries load it."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file

from radvit.errors import ConfigError
from radvit.models.backbone.backbone import Backbone
from radvit.models.backbone.protocol import Normalisation
from radvit.models.backbone.timm_vit import TimmVit
from radvit.models.backbone.timm_vit import saved as save_timm

NOTE = "radvit"  # key in a safetensors file's metadata


class Form(Enum):
    """Who is to load it. SAFETENSORS: anyone, one file, under the names that the backbone's own library uses."""

    TIMM = "timm"
    TRANSFORMERS = "transformers"
    SAFETENSORS = "safetensors"


def save_backbone(backbone: Backbone, path: Path, form: Form, normalise: Normalisation) -> None:
    """Write a backbone to a folder, or to a .safetensors file, with the normalisation that it expects.

    A timm model saved for transformers is what its TimmWrapperModel loads. Raises ConfigError where the path is taken,
    or where the library has no such model: one with a stem, or a model of transformers for timm.
    """
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise ConfigError(f"{path} exists already; expected a new place")
    if form is Form.SAFETENSORS:
        save_bare(backbone, path, normalise)
        return
    if backbone.stem is not None:
        raise ConfigError(f"a backbone with a stem is no model of {form.value}; expected --format safetensors")
    if isinstance(backbone.adapter, TimmVit):
        save_timm(backbone.adapter, path, normalise, wrapped=form is Form.TRANSFORMERS)
    elif form is Form.TIMM:
        raise ConfigError(f"{backbone.spec.name} is a model of transformers; expected --format transformers")
    else:
        from radvit.models.backbone import transformers_vit

        transformers_vit.saved(backbone.vit, path, normalise)


def save_bare(backbone: Backbone, path: Path, normalise: Normalisation) -> None:
    """One file of tensors under the library's own names, a stem's under `stem.`; the metadata say what it is."""
    if path.suffix != ".safetensors":
        raise ConfigError(f"{path}; expected the name of a .safetensors file")
    state = {name.removeprefix("vit."): value.contiguous().cpu() for name, value in backbone.state_dict().items()}
    note = {"mean": normalise.mean, "std": normalise.std, "backbone": asdict(backbone.spec)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata={"format": "pt", NOTE: json.dumps(note)})


def noted(path: Path) -> Normalisation | None:
    """The normalisation that `save_bare` noted in a file; None in any other."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, "pt") as file:
        note: dict[str, Any] = json.loads((file.metadata() or {}).get(NOTE, "{}"))
    return Normalisation(tuple(note["mean"]), tuple(note["std"])) if note else None
