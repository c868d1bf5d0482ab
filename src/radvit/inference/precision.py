"""Which precisions of a bundle were released, and which is the fastest here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from radvit import hardware
from radvit.bundle import QUANTIZATION, Bundle, file_hash
from radvit.errors import BundleError, ConfigError

ONNX_FILES = {"fp32": "model.onnx", "onnx": "model.onnx", "int8": "model.int8.onnx"}
TORCHAO = ("int8_torch", "fp8")
ON_GPU = ("fp16", *TORCHAO)
FORMAT = "radvit.quantization/2"
TRUSTED = frozenset({"fp32", "onnx"})  # the model itself, and its export, which was held against it as it was written
ALL = ("fp32", "bf16", "onnx", "int8", *ON_GPU)
ROUNDS = 3  # of timing engines on a machine that they weren't timed on


class State(Enum):
    """What the gate said of a precision; see radvit.evaluation.gate."""

    RELEASED = "released"
    REJECTED = "rejected"
    UNJUDGED = "unjudged"


@dataclass(frozen=True, slots=True)
class Quantization:
    """What quantization.json tells of a bundle.

    states, why: by precision; why it was rejected, in words. ms: an image by precision, on the machine that `machine`
    describes. bits: of an INT8 weight. digest: of the file with the INT8 model.
    """

    states: dict[str, State] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    bits: int = 8
    digest: str = ""

    def state(self, precision: str) -> State:
        """What may be thought of a precision. The model itself needs no release."""
        return State.RELEASED if precision in TRUSTED else self.states.get(precision, State.UNJUDGED)

    @property
    def here(self) -> bool:
        """Whether its times were taken on a machine like this one."""
        now = {"cpu": hardware.cpu(), "features": list(hardware.cpu_features()), "cores": hardware.cores()}
        return self.machine == now

    @property
    def exact_here(self) -> bool:
        """Whether this processor adds up INT8 products without overflow, as the one did that was judged."""
        return self.bits < 8 or hardware.sums_bytes_exactly()


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write quantization.json."""
    (folder / QUANTIZATION).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_quantization(bundle: Bundle) -> Quantization:
    """What is known of a bundle's precisions; nothing where it was never quantized, or was by an earlier version.

    Raises BundleError where the record is damaged, or is that of other weights.
    """
    path = bundle.folder / QUANTIZATION
    if not path.is_file():
        return Quantization()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("format") != FORMAT:
            return Quantization()
        if record["weights_sha256"] != bundle.weights_hash:
            raise BundleError(f"{path}: it is that of other weights; run `python evaluate.py ... quantize=int8` again")
        judged: dict[str, dict[str, Any]] = record["precisions"]
        return Quantization(
            {name: State(one["state"]) for name, one in judged.items()},
            {name: str(one.get("why", "")) for name, one in judged.items()},
            {name: float(ms) for name, ms in record["ms_per_image"].items()},
            dict(record["machine"]),
            int(record["bits"]),
            str(record["int8_sha256"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: not a record of a quantization: {type(error).__name__} {error}") from error


def check_released(bundle: Bundle, precision: str, allow_rejected: bool) -> None:
    """Raise ConfigError where a precision was not released, BundleError where its file isn't the judged one."""
    if precision in TRUSTED:
        return
    if precision in ON_GPU and not _has_gpu():
        raise ConfigError(f"precision={precision} needs a GPU; expected fp32, bf16, onnx, int8 or auto on this machine")
    known = read_quantization(bundle)
    if precision == "int8":
        file = onnx_file(bundle, precision)
        if known.digest and file_hash(file) != known.digest:
            raise BundleError(f"{file}: not the file that {QUANTIZATION} was written for")
    state = known.state(precision)
    if state is State.RELEASED or allow_rejected or (precision == "bf16" and state is State.UNJUDGED):
        return
    if state is State.REJECTED:
        raise ConfigError(
            f"precision={precision} was rejected for this model: {known.why.get(precision, '')}; expected another "
            "precision, or precision.allow_rejected=true"
        )
    raise ConfigError(
        f"precision={precision} was never measured beside FP32 for this model; run `python evaluate.py "
        f"checkpoint={bundle.folder} quantize=int8` first, or give precision.allow_rejected=true"
    )


def fastest(bundle: Bundle) -> str:
    """The precision that is the fastest on this machine among those released.

    Times are those of quantization.json, where they were taken on such a machine; else every engine is timed, which
    takes seconds. INT8 that this processor would sum up with overflow is left out.
    """
    known = read_quantization(bundle)
    usable = [name for name in ALL if _usable(bundle, known, name)]
    if len(usable) == 1:
        return usable[0]
    if known.here and set(usable) <= set(known.ms):
        return min(usable, key=lambda name: known.ms[name])
    import numpy as np  # loaded here, as are the engines: most runs know the times, and begin sooner without

    from radvit.inference.engine import open_engine
    from radvit.inference.interleaved import interleaved_ms

    size, channels = bundle.preprocess.size, bundle.spec.backbone.channels
    image = np.random.default_rng(0).standard_normal((1, channels, size, size), np.float32)
    ms = interleaved_ms({name: open_engine(bundle, name) for name in usable}, image, ROUNDS)
    return min(usable, key=lambda name: ms[name])


def _usable(bundle: Bundle, known: Quantization, precision: str) -> bool:
    if known.state(precision) is not State.RELEASED:
        return False
    if precision in ONNX_FILES and precision != "fp32" and not (bundle.folder / ONNX_FILES[precision]).is_file():
        return False
    if precision in ON_GPU and not _has_gpu():
        return False
    return precision != "int8" or known.exact_here


def onnx_file(bundle: Bundle, precision: str) -> Path:
    """Where a bundle's exported model lies. Raises BundleError where it was not exported."""
    path = bundle.folder / ONNX_FILES[precision]
    if not path.is_file():
        raise BundleError(f"{path} is missing: run `python evaluate.py checkpoint={bundle.folder} quantize=int8` first")
    return path


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
