"""A bundle to ONNX and to INT8, by the recipe that suits it best on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radvit import hardware
from radvit.bundle import Bundle, file_hash
from radvit.errors import QuantizeError
from radvit.inference.engine import Engine, engine_at, open_engine
from radvit.inference.interleaved import interleaved_ms
from radvit.inference.precision import FORMAT, ON_GPU, ONNX_FILES, State, write_record
from radvit.inference.torch_engine import TorchEngine
from radvit.models.spec import ModelSpec, output_names
from radvit.quantize.choose import LOOKED_AT, Bench, Candidate, Progress, choose, first
from radvit.quantize.export import Parity, export_onnx
from radvit.quantize.quiet import without_chatter
from radvit.quantize.recipes import Workshop
from radvit.records import FloatArray

HELD_EVERY = 3  # every third image doesn't calibrate: what is made is measured on it
WINDOWS = 4  # of each image, where a model looks at one window at a time
COMPARED = 8  # images that the export is held against its original with


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantization kept. recipe: its name. state: what the gate said of it. made: every recipe that was tried.

    ms_per_image, megabytes: by engine and precision: `fp32` and `bf16` in PyTorch, `onnx` (FP32) and `int8` in ONNX
    Runtime.
    """

    recipe: str
    state: State
    parity: Parity
    calibration_images: int
    held_images: int
    ms_per_image: dict[str, float]
    megabytes: dict[str, float]
    made: tuple[Candidate, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """A table for a terminal: each engine's time and size, its speed against FP32 in PyTorch in the same run."""
        base = self.ms_per_image["fp32"]
        names = {"fp32": "PyTorch FP32", "bf16": "PyTorch BF16", "onnx": "ONNX Runtime FP32"}
        names |= {"fp16": "PyTorch FP16", "int8_torch": "PyTorch INT8, torchao", "fp8": "PyTorch FP8, torchao"}
        names["int8"] = f"ONNX Runtime INT8 ({self.recipe})"
        rows: list[tuple[str, ...]] = [("on this machine", "ms/image", "speed", "MB")]
        for key, ms in self.ms_per_image.items():
            size = f"{self.megabytes[key]:.2f}" if key in self.megabytes else ""
            rows.append((names[key], f"{ms:.2f}", f"{base / ms:.2f}x", size))
        return rows

    def recipe_rows(self) -> list[tuple[str, ...]]:
        """A table of the recipes that were tried: how far each strays from FP32, how fast and large it is."""
        rows: list[tuple[str, ...]] = [("recipe", "error, SD", "moved by its batch, SD", "ms/image", "MB")]
        for one in self.made:
            name = f"{one.recipe.name} (chosen)" if one.recipe.name == self.recipe else one.recipe.name
            cells = (f"{one.error:.4f}", f"{one.batch_effect:.4f}", f"{one.ms:.2f}", f"{one.megabytes:.2f}")
            rows.append((name, *cells))
        return rows


@dataclass(frozen=True, slots=True)
class Made:
    """INT8 models of a bundle in scratch files, the preferred one first, and the FP32 model they were made of.

    calibrated, held: images that ranges were chosen on, and that what came out was measured on.
    """

    bundle: Bundle
    fp32: Path
    parity: Parity
    candidates: tuple[Candidate, ...]
    calibrated: int
    held: FloatArray


@contextmanager
def making(
    bundle: Bundle, images: FloatArray, progress: Progress = lambda done, total: None, thorough: bool = True
) -> Iterator[Made]:
    """Export a bundle and make INT8 models of it; the files last as long as the context.

    images: (N, 1, S, S) float32, normalised, of the training split alone. progress: of the scan of layers, where one is
    needed. thorough: False makes one model, by the first recipe, for what looks at speed alone. Raises QuantizeError
    where the export or every recipe fails.
    """
    if not len(images):
        raise QuantizeError("no calibration images; expected some from the training split")
    held = images[::HELD_EVERY] if len(images) >= HELD_EVERY else images
    calibrating = np.delete(images, np.s_[::HELD_EVERY], axis=0) if len(images) >= HELD_EVERY else images
    with tempfile.TemporaryDirectory(dir=bundle.folder, prefix="quantizing-") as name:
        folder = Path(name)
        fp32 = folder / ONNX_FILES["onnx"]
        seen, unseen = looked_at(calibrating, bundle.spec), looked_at(held, bundle.spec)
        parity = export_onnx(bundle.model(), fp32, unseen[:COMPARED])
        with without_chatter():
            workshop = Workshop.open(fp32, folder, seen)
        bench = Bench(workshop, fp32, output_names(bundle.spec), unseen)
        bits = 8 if hardware.sums_bytes_exactly() else 7
        found = choose(bench, bits, progress) if thorough else first(bench, bits)
        yield Made(bundle, fp32, parity, tuple(found), len(calibrating), held)


def looked_at(images: FloatArray, spec: ModelSpec) -> FloatArray:
    """What one pass of the model looks at: the images, or of a sliding window some windows of each, evenly spread."""
    if spec.window is None:
        return images
    side, starts = spec.window.size, spec.window.starts(images.shape[-1])
    corners = [(x, y) for y in starts for x in starts]
    chosen = [corners[i] for i in np.unique(np.linspace(0, len(corners) - 1, WINDOWS).round().astype(int))]
    return np.concatenate([images[:, :, y : y + side, x : x + side] for x, y in chosen])


def speeds(made: Made, chosen: Candidate, further: Sequence[str] = ()) -> dict[str, float]:
    """Milliseconds an image of every engine that may run the bundle, in one interleaved run. further: precisions."""
    model = made.bundle.model()
    engines: dict[str, Engine] = {
        "fp32": TorchEngine(model),
        "bf16": TorchEngine(model, bf16=True),
        "onnx": engine_at(made.fp32, made.bundle.spec),
        "int8": engine_at(chosen.path, made.bundle.spec),
    }
    engines |= {name: open_engine(made.bundle, name) for name in further}
    return interleaved_ms(engines, made.held[:LOOKED_AT])


def keep(made: Made, chosen: Candidate, judged: dict[str, dict[str, Any]]) -> Quantized:
    """Put an INT8 model into its bundle, with model.onnx and quantization.json.

    judged: what the gate said of `int8` and `bf16`, with its `state`; what isn't named is unjudged.
    """
    folder = made.bundle.folder
    megabytes = {"onnx": made.fp32.stat().st_size / 1e6, "int8": chosen.megabytes}
    ms = speeds(made, chosen, [name for name in judged if name in ON_GPU])
    made.fp32.replace(folder / ONNX_FILES["onnx"])
    chosen.path.replace(folder / ONNX_FILES["int8"])
    state = State(judged.get("int8", {}).get("state", State.UNJUDGED.value))
    record = {
        "format": FORMAT,
        "weights_sha256": made.bundle.weights_hash,
        "int8_sha256": file_hash(folder / ONNX_FILES["int8"]),
        "recipe": chosen.recipe.name,
        "bits": chosen.recipe.bits,
        "chosen": chosen.document(),
        "tried": [one.document() for one in made.candidates],
        "parity": {"logits": made.parity.logits, "pixels": made.parity.pixels},
        "calibration": {"split": "train", "images": made.calibrated, "held": len(made.held)},
        "ms_per_image": ms,
        "megabytes": megabytes,
        "machine": {"cpu": hardware.cpu(), "features": list(hardware.cpu_features()), "cores": hardware.cores()},
        "precisions": judged,
    }
    write_record(folder, record)
    counts = (made.calibrated, len(made.held))
    return Quantized(chosen.recipe.name, state, made.parity, *counts, ms, megabytes, made.candidates)


def quantize(bundle: Bundle, images: FloatArray, thorough: bool = True) -> Quantized:
    """Export a bundle to ONNX and keep its preferred INT8 model, which no gate has judged yet.

    images: (N, 1, S, S) float32, normalised, from the training split. thorough: as in `making`. Writes model.onnx,
    model.int8.onnx and quantization.json beside the weights. Raises QuantizeError where the export or every recipe
    fails.
    """
    with making(bundle, images, thorough=thorough) as made:
        return keep(made, made.candidates[0], {})
