"""external(): a saved model on several data sets, beside its own test split."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from radvit import assemble, terminal
from radvit.bundle import Bundle, load_bundle
from radvit.config import DataConfig, EvaluateConfig, SplitName
from radvit.errors import DataError, RadvitError, SomeInputsFailedError
from radvit.evaluation.external import Array, Measured, apart, case_mix, resampled
from radvit.evaluation.external_page import Terms, apart_rows, rows, write_external
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.reading import Saved, read_evaluation, read_metrics
from radvit.metrics.matching import CENTER_INSIDE
from radvit.plural import counted
from radvit.run.evaluation import evaluate
from radvit.run.folder import run_folder
from radvit.run.precision import settled

log = logging.getLogger(__name__)


def external(config: EvaluateConfig) -> list[Measured]:
    """Evaluate a model on each of some data sets, and lay the results beside those of its own test split.

    A set that can't be measured costs only itself. Raises SomeInputsFailedError where there was one, and DataError
    where there was no other.
    """
    bundle = load_bundle(Path(config.checkpoint or ""))
    given = assemble.external_sets(config.external, bundle.labels)
    folder = Path(config.output) if config.output else run_folder(bundle) / "evaluation" / "external"
    found: dict[str, Saved] = {}
    failed: dict[str, str] = {}
    for name, data in given.items():
        try:
            found[name] = one_set(config, data, folder / name)
        except (RadvitError, OSError) as error:
            failed[name] = " ".join(str(error).split())
            log.error("%s: %s", name, failed[name])
    if not found:
        raise DataError("no external set could be measured: " + "; ".join(f"{k}: {why}" for k, why in failed.items()))
    home = internal(config, bundle, folder)
    sets = beside(home, found, config)
    terms = Terms(" ".join(["python", "evaluate.py", *sys.argv[1:]]), config.seed, config.bootstrap, home, failed)
    write_external(folder, sets, terms)
    terminal.table(rows([*([] if home is None else [home]), *sets]))
    if home is not None:
        terminal.table(apart_rows(sets))
    log.info("wrote %s", folder / "EXTERNAL.md")
    if failed:
        names = ", ".join(failed)
        raise SomeInputsFailedError(f"{counted(len(sets), 'external set')} measured; not {names}: see {folder}")
    return sets


def one_set(config: EvaluateConfig, data: DataConfig, folder: Path) -> Saved:
    """Evaluate the model on one data set, as evaluate.py does, and read what that left."""
    log.info("external set %s", folder.name)
    evaluate(replace(config, external=[], data=data, output=str(folder)))
    return read_evaluation(folder)


def internal(config: EvaluateConfig, bundle: Bundle, folder: Path) -> Measured | None:
    """The model's own test split: as it was measured before in the same way, or measured now.

    None, with a warning, where its data aren't at hand: then nothing is held against it.
    """
    before = run_folder(bundle) / "evaluation" / SplitName.test.value
    try:
        saved = read_evaluation(before)
        if same_way(saved, config, bundle):
            log.info("internal test split as measured before: %s", before)
            return Measured(assemble.INTERNAL, saved, read_metrics(before), case_mix(saved.predictions), {})
    except DataError:
        log.info("the internal test split was not measured before")
    try:
        saved = one_set(config, replace(config.data), folder / assemble.INTERNAL)
    except (RadvitError, OSError) as error:
        log.warning("no internal test split to compare with: %s", error)
        return None
    return Measured(assemble.INTERNAL, saved, read_metrics(saved.folder), case_mix(saved.predictions), {})


def same_way(saved: Saved, config: EvaluateConfig, bundle: Bundle) -> bool:
    """Whether an evaluation is of this model and was made as this configuration asks."""
    point = OperatingPoint.from_dict(bundle.operating_point) if bundle.operating_point else None
    rule = assemble.hit_rule(config.hit, CENTER_INSIDE if point is None else point.hit_rule)
    how = saved.origin["extra"]["evaluation"]
    made = (saved.origin.get("weights"), saved.origin.get("precision"), saved.hit_rule, saved.operating, saved.split)
    asked = (bundle.weights_hash, settled(bundle, config.precision), rule, point, config.split.value)
    drawn = {"resamples": config.bootstrap, "seed": config.seed}
    return made == asked and drawn.items() <= how["bootstrap"].items()


def beside(home: Measured | None, found: dict[str, Saved], config: EvaluateConfig) -> list[Measured]:
    """Each data set with its metrics, its make-up, and how far it lies from home; every set draws its own patients."""
    at_home: dict[str, Array] = {}
    if home is not None:
        at_home = resampled(home.saved, np.random.default_rng([config.seed, 0]), config.bootstrap)
    sets = []
    for i, (name, saved) in enumerate(found.items(), 1):
        metrics = read_metrics(saved.folder)
        differences = {}
        if home is not None:
            drawn = resampled(saved, np.random.default_rng([config.seed, i]), config.bootstrap)
            differences = apart(metrics, home.metrics, drawn, at_home)
        sets.append(Measured(name, saved, metrics, case_mix(saved.predictions), differences))
    return sets
