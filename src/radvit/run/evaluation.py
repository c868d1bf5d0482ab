"""evaluate(): a saved model on a split, measured."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radvit import assemble, terminal
from radvit.bundle import CARD, Bundle, load_bundle
from radvit.config import DataConfig, EvaluateConfig, QuantizeName, SourceKind, SplitName
from radvit.data.samples import Cohort, Sample
from radvit.data.splits import Splits, load_splits
from radvit.errors import BundleError, ConfigError, DataError
from radvit.evaluation.baseline import blob_predictions
from radvit.evaluation.card import with_results
from radvit.evaluation.card_results import results
from radvit.evaluation.contact_sheet import View
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.evaluate import evaluate as measure
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predict import model_input, refuse_without_spacing
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.strata import strata
from radvit.evaluation.subgroups import columns_of, read_columns, subgroups
from radvit.evaluation.subgroups_page import gap_words
from radvit.evaluation.tables import table_rows
from radvit.evaluation.writing import Setting, write_evaluation
from radvit.inference.engine import BundleDetector, Engine, open_engine, open_onnx
from radvit.inference.location import locate
from radvit.metrics.calibrated import Calibration
from radvit.metrics.matching import CENTER_INSIDE
from radvit.provenance import provenance
from radvit.quantize.int8 import Quantized
from radvit.records import Boxes, Task
from radvit.run.answers import answers
from radvit.run.folder import SPLITS, run_folder, saved_config
from radvit.run.precision import settled as settled_precision
from radvit.run.quantizing import quantize_judged
from radvit.run.saliency import measurable, sanity_of, spread_over
from radvit.run.unseen import check_unseen

log = logging.getLogger(__name__)

Bools = npt.NDArray[np.bool_]
Measured = dict[str, dict[str, Metric]]


def evaluate(config: EvaluateConfig) -> Measured:
    """Measure a saved model on a split, beside a baseline and, where asked for, beside its INT8 self."""
    terminal.quiet_libraries()
    if config.checkpoint is None:
        raise ConfigError("not given: checkpoint; expected a run folder or a bundle")
    bundle = load_bundle(Path(config.checkpoint))
    cohort, splits = measured_data(config, bundle)
    indices = splits[config.split.value]
    if not indices:
        raise DataError(f"split={config.split.value} holds no image of this data set")
    samples = [cohort.samples[i] for i in indices]
    setting = settled(config, bundle, samples, check_unseen(config, bundle, cohort, splits))
    speed = quantized(config, bundle, cohort, splits) if config.quantize is QuantizeName.int8 else None
    precision = settled_precision(bundle, config.precision)
    setting = replace(setting, name=f"ViT {precision.upper()}")
    engine = open_engine(bundle, precision)
    explain = assemble.explainer(config.saliency, engine)
    boxer = None if explain is None else measurable(explain, cohort, indices)
    main = answers(bundle, engine, cohort, indices, config.batch_size, boxer)
    others: dict[str, Predictions] = {}
    if speed is not None:
        others["int8"] = answers(bundle, open_onnx(bundle, "int8"), cohort, indices, config.batch_size)
    if main.localises:
        others["blobs"] = blob_predictions(cohort, indices, main)

    def view(row: int) -> View:
        return view_of(bundle, engine, cohort, indices[row], main.boxes[row])

    if explain is not None and config.saliency.check:
        chosen = spread_over(indices, config.saliency.check)
        setting = replace(setting, sanity=sanity_of(explain, cohort, chosen, bundle.preprocess, config.seed))
    setting = broken_down(replace(setting, others=others, views=view), main, samples)
    folder = Path(config.output) if config.output else run_folder(bundle) / "evaluation" / config.split.value
    measured = written(folder, bundle, main, setting, config, precision)
    if speed is not None:
        terminal.table(speed.rows())
    tell(setting, folder)
    return measured


def view_of(bundle: Bundle, engine: Engine, cohort: Cohort, index: int, boxes: Boxes) -> View:
    """What is shown of one image: its pixels, boxes found and true, and masks. boxes: pixels of the stored image."""
    sample = cohort.samples[index]
    found, masks = sample.placement.to_model(boxes.xyxy), drawn_masks(bundle, engine, cohort, index)
    return View(cohort.pixels[index].astype(np.float32), found, sample.boxes_px(), *masks)


def quantized(config: EvaluateConfig, bundle: Bundle, cohort: Cohort, splits: Splits) -> Quantized:
    """Export, quantize and judge a bundle. Returns how fast each form of it is."""
    tolerances = assemble.tolerances(config.gate)
    return quantize_judged(bundle, cohort, splits, tolerances, config.batch_size, config.seed, config.bootstrap)


def tell(setting: Setting, folder: Path) -> None:
    """Say what else came out, and where it stands."""
    for gap in setting.groups.gaps if setting.groups else ():
        log.info("%s", gap_words(gap))
    if setting.sanity is not None:
        terminal.table(setting.sanity.rows())
        log.info("%s", " ".join(setting.sanity.verdict()))
    if setting.seen:
        log.warning("seen in training: %s", setting.seen)
    log.info("wrote %s", folder / "REPORT.md")


def settled(config: EvaluateConfig, bundle: Bundle, samples: Sequence[Sample], seen: str) -> Setting:
    """How an evaluation will be made, before anything is predicted. samples: what is measured. seen: in training.

    Raises ConfigError or DataError where these images don't take what is asked for.
    """
    operating = OperatingPoint.from_dict(bundle.operating_point) if bundle.operating_point else None
    rule = assemble.hit_rule(config.hit, CENTER_INSIDE if operating is None else operating.hit_rule)
    refuse_without_spacing(samples, rule)
    return Setting(
        operating=operating,
        hit_rule=rule,
        seed=config.seed,
        n_boot=config.bootstrap,
        command=" ".join(["python", "evaluate.py", *sys.argv[1:]]),
        split=config.split.value,
        seen=seen,
        columns=group_columns(config, samples),
        calibration=Calibration.from_dict(bundle.calibration),
    )


def written(
    folder: Path, bundle: Bundle, main: Predictions, setting: Setting, config: EvaluateConfig, precision: str
) -> Measured:
    """Measure what was predicted, show it, write it, and on the model's own test split into its card too."""

    def metrics_of(predictions: Predictions, point: OperatingPoint | None) -> dict[str, Metric]:
        return measure(predictions, point, np.random.default_rng(setting.seed), setting.n_boot, setting.hit_rule)

    metrics = metrics_of(main, setting.operating)
    precisions = {name: metrics_of(p, setting.operating) for name, p in setting.others.items() if name == "int8"}
    baselines = {name: metrics_of(p, None) for name, p in setting.others.items() if name == "blobs"}
    origin = provenance(bundle, precision)
    write_evaluation(folder, metrics, baselines, precisions, main, origin, setting)
    if config.data.kind is SourceKind.run and config.split is SplitName.test:
        fill_card(bundle, results(metrics, baselines, precisions, main, origin, setting))
    terminal.table(table_rows(metrics, baselines, precisions, setting.name))
    return {"metrics": metrics, **precisions, **baselines}


def fill_card(bundle: Bundle, section: str) -> None:
    """Put results into the model's card, in place of earlier ones; a card that can't be written costs no evaluation."""
    path = bundle.folder / CARD
    try:
        path.write_text(with_results(path.read_text(encoding="utf-8"), section), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s: its results can't be filled in (%s)", path, type(error).__name__)


def broken_down(setting: Setting, predictions: Predictions, samples: Sequence[Sample]) -> Setting:
    """The same setting with what was found of subgroups and, of a detector, of which lesions."""
    operating, rng = setting.operating, np.random.default_rng(setting.seed)
    if setting.columns:
        found = subgroups(predictions, setting.columns, operating, rng, setting.n_boot, setting.hit_rule)
        setting = replace(setting, groups=found)
    if predictions.localises and operating is not None and operating.box_threshold is not None:
        places = [lesion_places(sample) for sample in samples]
        rng = np.random.default_rng(setting.seed)
        threshold, rule = operating.box_threshold, setting.hit_rule
        setting = replace(setting, strata=strata(predictions, threshold, places, rng, setting.n_boot, rule))
    return setting


def group_columns(config: EvaluateConfig, samples: Sequence[Sample]) -> dict[str, list[str]]:
    """What subgroups are made by: a value an image of each column asked for."""
    headers = [sample.header for sample in samples]
    whose = {
        "image": [sample.name for sample in samples],
        "study": [header.study for header in headers],
        "patient": [header.patient for header in headers],
    }
    table = {} if config.groups_file is None else read_columns(Path(config.groups_file), whose)
    return {**columns_of(headers, [name for name in config.groups if name not in table]), **table}


def lesion_places(sample: Sample) -> list[str]:
    """Side and third of each true lesion of an image in words; empty where they aren't known."""
    found = [locate(lesion.box_px, sample.header, sample.geometry) for lesion in sample.lesions]
    return [" ".join(word for word in (place.side, place.zone) if word) for place in found]


def drawn_masks(bundle: Bundle, engine: Engine, cohort: Cohort, index: int) -> tuple[Bools | None, Bools | None]:
    """Found and true mask of one image, all classes together; None where the model or the data have none."""
    if bundle.spec.task is not Task.SEGMENT:
        return None, None
    found = BundleDetector(bundle, engine).look(model_input(cohort, [index], bundle.preprocess)).masks
    true = None if cohort.masks is None else np.asarray(cohort.masks[index] > 0)
    return None if found is None else found[0].any(0), true


def measured_data(config: EvaluateConfig, bundle: Bundle) -> tuple[Cohort, Splits]:
    """The images to measure on: those of the bundle's own run, with its splits, or another data set's.

    Raises BundleError where the run's own data are no longer those the bundle was trained on.
    """
    if config.data.kind is not SourceKind.run:
        cohort = assemble.cohort(config.data, bundle.preprocess, config.deid, config.read)
        if cohort.labels != bundle.labels:
            raise DataError(f"the data have the labels {cohort.labels}; the model was trained on {bundle.labels}")
        return cohort, assemble.splits(config.data, cohort, config.deid)
    folder = run_folder(bundle)
    saved = saved_config(folder)
    data = own_data(saved.data, config.data)
    deid = config.deid if config.deid.key else saved.deid
    cohort = assemble.cohort(data, bundle.preprocess, deid, config.read)
    splits = load_splits(folder / SPLITS, cohort.samples)
    expected = (bundle.trained.get("split_hash"), bundle.trained.get("data_fingerprint"))
    if (splits.hash, cohort.fingerprint) != expected:
        raise BundleError(f"{folder}: the data or its splits changed since training; name other data with data=...")
    return cohort, splits


def own_data(saved: DataConfig, asked: DataConfig) -> DataConfig:
    """The data of a run, found where `asked` says if the folder moved."""
    return replace(saved, path=asked.path or saved.path, truth=asked.truth or saved.truth)
