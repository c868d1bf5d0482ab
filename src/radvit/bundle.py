"""The saved model: safetensors and model.json, the only thing that inference reads; no pickle anywhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from radvit.data.preprocess import Preprocess
from radvit.errors import BundleError, ConfigError, DataError
from radvit.models.spec import ModelSpec
from radvit.records import Header

if TYPE_CHECKING:  # what computes is loaded when a model is: most of what reads a bundle, and ONNX Runtime, need none
    from radvit.models.vit import RadiographViT

FORMAT = "radvit.bundle/1"
WEIGHTS, RECORD, CARD = "model.safetensors", "model.json", "MODEL_CARD.md"
QUANTIZATION = "quantization.json"
ENCODER = "encoder"  # where a pretraining run leaves its backbone; see radvit.encoder


@dataclass(frozen=True, slots=True)
class Scope:
    """What a model may be asked about; an empty tuple allows anything."""

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    def refusal(self, header: Header) -> str | None:
        """Why an image is outside the scope, or None where it is inside.

        A body part that the file does not name counts as outside: it can't be shown to fit. A view that it does not
        name is let through, because real CR files often leave ViewPosition empty (type 2 in PS3.3 C.8.1.1).
        """
        checks = (
            ("modality", header.modality, self.modalities),
            ("body part", header.body_part, self.body_parts),
            ("view", header.view, self.views),
        )
        for what, value, allowed in checks:
            unnamed_view = what == "view" and value is None
            if allowed and value not in allowed and not unnamed_view:
                return f"{what} {value or 'not named'} is outside the model's scope ({', '.join(allowed)})"
        return None


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a saved model is, without its weights.

    operating_point: frozen thresholds chosen on the validation split. calibration: see
    radvit.metrics.calibrated, empty for none. trained: how and on what (seed, data fingerprint, split hash, versions,
    git commit).
    """

    folder: Path
    spec: ModelSpec
    labels: tuple[str, ...]
    exclusive: bool
    preprocess: Preprocess
    scope: Scope
    operating_point: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)
    weights_hash: str = ""

    @property
    def name(self) -> str:
        """Name of the model in reports."""
        return str(self.trained.get("name", "radvit"))

    def model(self) -> RadiographViT:
        """The model with its weights, in evaluation mode. Raises BundleError where the weights don't fit."""
        from safetensors.torch import load_file

        from radvit.models.vit import RadiographViT

        model = RadiographViT(self.spec)
        try:
            model.load_state_dict(load_file(self.folder / WEIGHTS))
        except (OSError, RuntimeError, SafetensorError) as error:
            why = " ".join(line.strip() for line in str(error).splitlines()[:2])
            raise BundleError(f"{self.folder / WEIGHTS}: weights don't fit their record: {why}") from error
        return model.eval()


def file_hash(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_bundle(bundle: Bundle, model: RadiographViT, card: str) -> Bundle:
    """Write weights, record and model card into bundle.folder. Returns the bundle with its weights' hash.

    What was exported from earlier weights there is removed.
    """
    from safetensors.torch import save_file

    bundle.folder.mkdir(parents=True, exist_ok=True)
    for stale in (*bundle.folder.glob("*.onnx"), bundle.folder / QUANTIZATION):
        stale.unlink(missing_ok=True)
    save_file({k: v.contiguous().cpu() for k, v in model.state_dict().items()}, bundle.folder / WEIGHTS)
    record = {
        "format": FORMAT,
        "architecture": bundle.spec.to_dict(),
        "labels": list(bundle.labels),
        "exclusive": bundle.exclusive,
        "preprocess": bundle.preprocess.to_dict(),
        "scope": asdict(bundle.scope),
        "operating_point": bundle.operating_point,
        "calibration": bundle.calibration,
        "trained": bundle.trained,
        "weights_sha256": file_hash(bundle.folder / WEIGHTS),
    }
    (bundle.folder / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    (bundle.folder / CARD).write_text(card)
    return load_bundle(bundle.folder)


def bundle_folder(path: Path) -> Path:
    """The bundle in a run folder, or the folder itself. Raises BundleError where neither is one."""
    if (path / ENCODER / RECORD).is_file() or (path.name == ENCODER and (path / RECORD).is_file()):
        raise BundleError(f"checkpoint={path} is an encoder without a head; train one with model.weights={path} first")
    for folder in (path, path / "bundle"):
        if (folder / RECORD).is_file():
            return folder
    if not path.exists():
        raise BundleError(f"checkpoint={path} does not exist; expected a run folder or a bundle")
    raise BundleError(f"checkpoint={path} is neither a run folder nor a bundle: no {RECORD} in it")


def load_bundle(path: Path) -> Bundle:
    """Read a bundle from its folder or its run folder; the weights' hash is checked.

    Raises BundleError where it is none, is damaged, or was written by another format.
    """
    folder = bundle_folder(path)
    try:
        record = json.loads((folder / RECORD).read_text())
        if record["format"] != FORMAT:
            raise BundleError(f"{folder}: format {record['format']}; this version reads {FORMAT}")
        bundle = _from_record(folder, record)
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError, DataError) as error:
        raise BundleError(f"{folder / RECORD}: not a bundle record: {type(error).__name__} {error}") from error
    if not (folder / WEIGHTS).is_file() or file_hash(folder / WEIGHTS) != bundle.weights_hash:
        raise BundleError(f"{folder / WEIGHTS}: missing or not the weights that {RECORD} was written for")
    return bundle


def _from_record(folder: Path, record: dict[str, Any]) -> Bundle:
    return Bundle(
        folder=folder,
        spec=ModelSpec.from_dict(record["architecture"]),
        labels=tuple(record["labels"]),
        exclusive=bool(record["exclusive"]),
        preprocess=Preprocess.from_dict(record["preprocess"]),
        scope=Scope(**{key: tuple(values) for key, values in record["scope"].items()}),
        operating_point=dict(record["operating_point"]),
        calibration=dict(record["calibration"]),
        trained=dict(record["trained"]),
        weights_hash=str(record["weights_sha256"]),
    )
