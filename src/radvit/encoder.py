"""A saved encoder: a backbone that was pretrained and has no head yet; `model.weights=RUN` starts a model from it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from radvit.bundle import ENCODER, RECORD, WEIGHTS, file_hash
from radvit.data.preprocess import Preprocess
from radvit.models.backbone import Backbone, BackboneSpec

FORMAT = "radvit.encoder/1"


def save_encoder(
    run: Path, backbone: Backbone, spec: BackboneSpec, preprocess: Preprocess, trained: dict[str, Any]
) -> Path:
    """Write run/encoder: model.safetensors with the keys `backbone.*`, and model.json. Returns that folder.

    trained: how and on what, as in a bundle.
    """
    folder = run / ENCODER
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"backbone.{name}": value.contiguous().cpu() for name, value in backbone.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    record = {
        "format": FORMAT,
        "backbone": asdict(spec),
        "preprocess": preprocess.to_dict(),
        "trained": trained,
        "weights_sha256": file_hash(folder / WEIGHTS),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    return folder
