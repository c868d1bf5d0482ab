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
from radvit.bundle import Bundle, load_bundle
from radvit.config import DataConfig, EvaluateConfig, QuantizeName, SourceKind
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.splits import Splits, load_splits
from radvit.errors import BundleError, ConfigError, DataError
from radvit.evaluation.baseline import blob_predictions
from radvit.evaluation.contact_sheet import View
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.evaluate import evaluate as measure
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predict import model_input
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.strata import strata
from radvit.evaluation.subgroups import columns_of, read_columns, subgroups
from radvit.evaluation.subgroups_page import gap_words
from radvit.evaluation.tables import table_rows
from radvit.evaluation.writing import Setting, write_evaluation
from radvit.inference.engine import BundleDetector, Engine, open_engine, open_onnx
from radvit.inference.location import locate
from radvit.provenance import provenance
from radvit.quantize.int8 import Quantized, quantize
from radvit.records import Boxes, Task
from radvit.run.answers import answers
from radvit.run.folder import SPLITS, run_folder, saved_config
from radvit.run.saliency import measurable, sanity_of, spread_over
from radvit.run.unseen import check_unseen

log = logging.getLogger(__name__)

CALIBRATION_IMAGES = 64

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
    seen = check_unseen(config, bundle, cohort, splits)
    columns = group_columns(config, [cohort.samples[i] for i in indices])
    speed = quantized(bundle, cohort, splits) if config.quantize is QuantizeName.int8 else None
    precision = config.precision.value
    engine = open_engine(bundle, precision)
    explain = assemble.explainer(config.saliency, engine)
    boxer = None if explain is None else measurable(explain, cohort, indices)
    main = answers(bundle, engine, cohort, indices, config.batch_size, boxer)
    others: dict[str, Predictions] = {}
    if speed is not None:
        others["int8"] = answers(bundle, open_onnx(bundle, "int8"), cohort, indices, config.batch_size)
    if main.localises:
        others["blobs"] = blob_predictions(cohort, indices, main)
    operating = OperatingPoint.from_dict(bundle.operating_point) if bundle.operating_point else None

    def metrics_of(predictions: Predictions, point: OperatingPoint | None) -> dict[str, Metric]:
        return measure(predictions, point, np.random.default_rng(config.seed), config.bootstrap)

    def view(row: int) -> View:
        return view_of(bundle, engine, cohort, indices[row], main.boxes[row])

    metrics = metrics_of(main, operating)
    precisions = {name: metrics_of(p, operating) for name, p in others.items() if name == "int8"}
    baselines = {name: metrics_of(p, None) for name, p in others.items() if name == "blobs"}
    name = f"ViT {precision.upper()}"
    command = " ".join(["python", "evaluate.py", *sys.argv[1:]])
    setting = Setting(name, operating, others=others, views=view, seed=config.seed, n_boot=config.bootstrap)
    setting = replace(setting, command=command, split=config.split.value, seen=seen, columns=columns)
    if explain is not None and config.saliency.check:
        chosen = spread_over(indices, config.saliency.check)
        setting = replace(setting, sanity=sanity_of(explain, cohort, chosen, bundle.preprocess, config.seed))
    setting = broken_down(config, setting, main, [cohort.samples[i] for i in indices])
    folder = Path(config.output) if config.output else run_folder(bundle) / "evaluation" / config.split.value
    origin = provenance(bundle, precision)
    write_evaluation(folder, metrics, baselines, precisions, main, origin, setting)
    terminal.table(table_rows(metrics, baselines, precisions, name))
    if speed is not None:
        terminal.table(speed.rows())
    tell(setting, folder)
    return {"metrics": metrics, **precisions, **baselines}


def view_of(bundle: Bundle, engine: Engine, cohort: Cohort, index: int, boxes: Boxes) -> View:
    """What is shown of one image: its pixels, boxes found and true, and masks. boxes: pixels of the stored image."""
    sample = cohort.samples[index]
    found, masks = sample.placement.to_model(boxes.xyxy), drawn_masks(bundle, engine, cohort, index)
    return View(cohort.pixels[index].astype(np.float32), found, sample.boxes_px(), *masks)


def quantized(bundle: Bundle, cohort: Cohort, splits: Splits) -> Quantized:
    """Export and quantize a bundle. Returns how fast each form of it is."""
    log.info("exporting to ONNX and quantizing to INT8")
    return quantize(bundle, calibration_images(cohort, splits, bundle.preprocess))


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


def broken_down(
    config: EvaluateConfig, setting: Setting, predictions: Predictions, samples: Sequence[Sample]
) -> Setting:
    """The same setting with what was found of subgroups and, of a detector, of which lesions."""
    operating, rng = setting.operating, np.random.default_rng(config.seed)
    if setting.columns:
        found = subgroups(predictions, setting.columns, operating, rng, config.bootstrap)
        setting = replace(setting, groups=found)
    if predictions.localises and operating is not None and operating.box_threshold is not None:
        places = [lesion_places(sample) for sample in samples]
        rng = np.random.default_rng(config.seed)
        setting = replace(setting, strata=strata(predictions, operating.box_threshold, places, rng, config.bootstrap))
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


def calibration_images(cohort: Cohort, splits: Splits, preprocess: Preprocess) -> np.ndarray:
    """Training images, evenly spread over the split, as a model takes them."""
    return model_input(cohort, spread_over(splits.train, CALIBRATION_IMAGES), preprocess)
