"""Quantize a saved model, and judge what came out beside FP32 on the validation split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from radvit import terminal
from radvit.bundle import Bundle
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import ConfigError, DataError
from radvit.evaluation.compare import compare
from radvit.evaluation.gate import Judgement, Tolerances, judge
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predict import model_input
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.reading import Saved
from radvit.inference.engine import Engine, engine_at, open_engine
from radvit.inference.precision import ON_GPU, State
from radvit.metrics.matching import CENTER_INSIDE
from radvit.quantize.choose import Candidate, Progress
from radvit.quantize.int8 import Made, Quantized, keep, making
from radvit.run.answers import answers
from radvit.run.saliency import spread_over

log = logging.getLogger(__name__)

CALIBRATION_IMAGES = 96  # of which two thirds calibrate
MOST_JUDGED = 4  # candidates that the gate sees, at most: the more it sees, the likelier one passes by chance
SPLIT = "val"

Judge = Callable[[Engine], Judgement]


def quantize_judged(
    bundle: Bundle, cohort: Cohort, splits: Splits, tolerances: Tolerances, batch_size: int, seed: int, n_boot: int
) -> Quantized:
    """Export a bundle, quantize it on training images, and release what the validation split lets through.

    INT8 models are judged in the order of preference until one passes; where none does, the first is kept, and marked
    as rejected. BF16 is judged as well. Prints what was tried and what the gate said. Raises DataError without
    validation images, QuantizeError where nothing could be made.
    """
    if not splits.val:
        raise DataError("quantize=int8 needs validation images for its gate; this data set's split has none")
    log.info("exporting to ONNX and quantizing to INT8")
    images = model_input(cohort, spread_over(splits.train, CALIBRATION_IMAGES), bundle.preprocess)
    with ExitStack() as shown, making(bundle, images, scanning(shown)) as made:
        judge_engine = gate(bundle, cohort, splits, tolerances, batch_size, seed, n_boot)
        chosen, int8 = first_released(made, judge_engine)
        judgements = {"int8": int8, **dict(of_torch(bundle, judge_engine))}
        judged = {name: told(one, tolerances, len(splits.val)) for name, one in judgements.items()}
        result = keep(made, chosen, judged)
    show(result, judgements)
    return result


def scanning(shown: ExitStack) -> Progress:
    """Progress of a scan of layers; its bar comes up with the first, as many models need no scan."""
    advance: Progress | None = None

    def progress(done: int, total: int) -> None:
        nonlocal advance
        advance = advance or shown.enter_context(terminal.bar("looking for sensitive layers", "layers"))
        advance(done, total)

    return progress


def gate(
    bundle: Bundle, cohort: Cohort, splits: Splits, tolerances: Tolerances, batch_size: int, seed: int, n_boot: int
) -> Judge:
    """What judges an engine: its answers on the validation split, paired with those of FP32 in PyTorch."""
    operating = OperatingPoint.from_dict(bundle.operating_point) if bundle.operating_point else None
    rule = CENTER_INSIDE if operating is None else operating.hit_rule

    def saved(predictions: Predictions) -> Saved:
        return Saved(bundle.folder, predictions, operating, rule, SPLIT, "", {})

    fp32 = saved(answers(bundle, open_engine(bundle, "fp32"), cohort, splits.val, batch_size))

    def judged(engine: Engine) -> Judgement:
        other = saved(answers(bundle, engine, cohort, splits.val, batch_size))
        return judge(compare(fp32, other, np.random.default_rng(seed), n_boot), tolerances)

    return judged


def of_torch(bundle: Bundle, judge_engine: Judge) -> Iterator[tuple[str, Judgement]]:
    """What the gate says of the other precisions that this machine runs in PyTorch."""
    for name in ("bf16", *(ON_GPU if torch.cuda.is_available() else ())):
        try:
            yield name, judge_engine(open_engine(bundle, name))
        except ConfigError as error:
            log.warning("%s", error)


def first_released(made: Made, judge_engine: Judge) -> tuple[Candidate, Judgement]:
    """The first INT8 model in the order of preference that the gate lets through, else the first of all."""
    judged: list[tuple[Candidate, Judgement]] = []
    for candidate in made.candidates[:MOST_JUDGED]:
        judged.append((candidate, judge_engine(engine_at(candidate.path, made.bundle.spec))))
        if judged[-1][1].released:
            return judged[-1]
        log.warning("INT8 by %s: %s", candidate.recipe.name, judged[-1][1].why)
    return judged[0]


def told(judgement: Judgement, tolerances: Tolerances, images: int) -> dict[str, Any]:
    """What quantization.json says of a precision."""
    return {
        "state": (State.RELEASED if judgement.released else State.REJECTED).value,
        "why": judgement.why,
        "split": SPLIT,
        "images": images,
        "tolerances": {name: getattr(tolerances, name) for name in tolerances.__slots__},
        "checks": [check.document() for check in judgement.checks],
    }


def show(result: Quantized, judged: dict[str, Judgement]) -> None:
    """Print the recipes, and what the gate said of each precision."""
    terminal.table(result.recipe_rows())
    for key, judgement in judged.items():
        name = key.upper()
        header = (f"{name} on the validation split", "FP32", name, "difference", "may lose", "")
        terminal.table([header, *judgement.rows()])
    if result.state is State.RELEASED:
        log.info("INT8 is released")
    else:
        log.warning("INT8 is rejected: %s", judged["int8"].why)
