"""Which INT8 recipe suits a model: made, held against FP32 and timed on training images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from radvit.errors import QuantizeError
from radvit.inference.engine import Engine, OnnxEngine
from radvit.inference.interleaved import interleaved_ms
from radvit.quantize.calibrate import Ranges, batches
from radvit.quantize.quiet import without_chatter
from radvit.quantize.recipes import Recipe, Workshop, batch_effect, error
from radvit.records import FloatArray

log = logging.getLogger(__name__)

CLOSE_ENOUGH = 0.03  # error up to which the faster model is preferred, above it the closer one
WORTH_IT = 0.95  # balancing is kept where it brings the error below this share of what it was
AS_FAST = 1.03  # times within 3 % of each other can't be told apart here
SCANNED = 8  # images of a layer-by-layer scan
MOST_KEPT = 0.5  # of the layers
LOOKED_AT = 8  # images that the batch's effect and the speed are measured with

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An INT8 model in a file, and what was found out about it.

    error: root mean square of what its outputs stray from FP32, in their standard deviations, of the worst output.
    batch_effect: how far an image's outputs move with those beside it, likewise, at most. ms: an image.
    """

    recipe: Recipe
    path: Path
    error: float
    batch_effect: float
    megabytes: float
    ms: float = float("nan")

    def document(self) -> dict[str, Any]:
        """What quantization.json says of it."""
        ranges = self.recipe.ranges
        recipe = {**asdict(self.recipe), "ranges": None if ranges is None else ranges.value}
        told = {name: getattr(self, name) for name in ("error", "batch_effect", "megabytes", "ms")}
        return {"name": self.recipe.name, **told, "recipe": recipe}


class Bench:
    """Makes INT8 models of one FP32 model, and measures them on images that didn't calibrate them."""

    def __init__(self, workshop: Workshop, fp32: Path, names: tuple[str, ...], held: FloatArray) -> None:
        """names: of the model's outputs. held: (N, 1, S, S) float32, normalised, training images."""
        self.workshop, self.names, self.held = workshop, names, held
        self.fp32 = OnnxEngine(fp32, names)
        self.expected = run(self.fp32, held)
        self.made: list[Candidate] = []

    def make(self, recipe: Recipe) -> Candidate | None:
        """Make and measure a recipe's model; None, with a warning, where it does not fit."""
        path = self.workshop.folder / f"candidate-{len(self.made)}.onnx"
        try:
            with without_chatter():
                self.workshop.make(recipe, path)
            engine = OnnxEngine(path, self.names)
        except (ValueError, RuntimeError, KeyError) as cause:
            log.warning("INT8 recipe %s does not fit this model: %s", recipe.name, cause)
            return None
        strays = error(self.expected, run(engine, self.held))
        effect = batch_effect(engine, self.held[:LOOKED_AT])
        self.made.append(Candidate(recipe, path, strays, effect, path.stat().st_size / 1e6))
        return self.made[-1]

    def sensitivities(self, recipe: Recipe, progress: Progress) -> list[tuple[float, str]]:
        """The error that each layer alone brings in INT8, with its name, largest first."""
        images = self.held[:SCANNED]
        expected = run(self.fp32, images)
        path = self.workshop.folder / "scan.onnx"
        found = []
        layers = self.workshop.layers
        progress(0, len(layers))
        for done, layer in enumerate(layers, start=1):
            with without_chatter():
                self.workshop.make_of(recipe, [layer.name], path)
            found.append((error(expected, run(OnnxEngine(path, self.names), images)), layer.name))
            progress(done, len(layers))
        return sorted(found, reverse=True)


def choose(bench: Bench, bits: int, progress: Progress = lambda done, total: None) -> list[Candidate]:
    """INT8 models, the one to be preferred first. bits: of a weight. progress: of a scan layer by layer.

    Ranges are chosen by the error they leave; then balancing is tried; and where the error is still above CLOSE_ENOUGH,
    a scan names the layers that bring most of it, and more and more of these stay FP32. Of the models below that the
    fastest comes first. What takes its ranges from each batch comes after all others: an image's answer should not
    depend on those beside it. Raises QuantizeError where no recipe fits the model.
    """
    tried = [bench.make(Recipe(ranges, bits=bits)) for ranges in Ranges]
    best = closest(tried)
    if best is not None:
        balanced = bench.make(replace(best.recipe, balanced=True))
        if balanced is not None and balanced.error < WORTH_IT * best.error:
            best = balanced
        if best.error > CLOSE_ENOUGH:
            for recipe in sparing(bench, best.recipe, progress):
                spared = bench.make(recipe)
                if spared is None or spared.error <= CLOSE_ENOUGH:
                    break
        bench.make(replace(best.recipe, convolutions=False))
    bench.make(Recipe(None, convolutions=False, bits=bits))
    if not bench.made:
        raise QuantizeError("no INT8 recipe fits this model; the warnings above say why")
    return ranked(timed(bench))


def first(bench: Bench, bits: int) -> list[Candidate]:
    """The model of the first recipe that fits. Raises QuantizeError where none does."""
    made = next((one for ranges in Ranges if (one := bench.make(Recipe(ranges, bits=bits)))), None)
    if made is None:
        raise QuantizeError("no INT8 recipe fits this model; the warnings above say why")
    return timed(bench)


def closest(tried: Sequence[Candidate | None]) -> Candidate | None:
    """The candidate that strays least; None where there is none."""
    return min((one for one in tried if one is not None), key=lambda one: one.error, default=None)


def sparing(bench: Bench, recipe: Recipe, progress: Progress) -> Iterator[Recipe]:
    """The same recipe with 1, 2, 4 and so on of the most sensitive layers left FP32, up to half of them."""
    ordered = [name for _, name in bench.sensitivities(recipe, progress)]
    count = 1
    while count <= MOST_KEPT * len(ordered):
        yield replace(recipe, kept=tuple(ordered[:count]))
        count *= 2


def timed(bench: Bench) -> list[Candidate]:
    """The candidates with their times, all in turn."""
    engines = {str(i): OnnxEngine(one.path, bench.names) for i, one in enumerate(bench.made)}
    ms = interleaved_ms(engines, bench.held[:LOOKED_AT])
    return [replace(one, ms=ms[str(i)]) for i, one in enumerate(bench.made)]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates in the order of preference; see `choose`."""
    static = [one for one in candidates if one.recipe.ranges is not None]
    close = sorted((one for one in static if one.error <= CLOSE_ENOUGH), key=lambda one: one.ms)
    if close:  # among those that are as fast as the fastest, the one that strays least
        first = min((one for one in close if one.ms <= AS_FAST * close[0].ms), key=lambda one: one.error)
        close = [first, *(one for one in close if one is not first)]
    far = sorted((one for one in static if one.error > CLOSE_ENOUGH), key=lambda one: one.error)
    return [*close, *far, *(one for one in candidates if one.recipe.ranges is None)]


def run(engine: Engine, images: FloatArray) -> Mapping[str, FloatArray]:
    """Outputs of all images, which need not fit into one batch."""
    parts = [engine(np.ascontiguousarray(batch)) for batch in batches(images)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
