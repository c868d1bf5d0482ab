"""train(), evaluate() and infer(): the one place that shows each flow whole."""

from __future__ import annotations

import json
import logging
import signal
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from yaml import YAMLError

from radvit import __version__, assemble, terminal
from radvit.bundle import Bundle, load_bundle, save_bundle
from radvit.config import DataConfig, EvaluateConfig, InferConfig, QuantizeName, SourceKind, TrainConfig
from radvit.data.checks import check_cohort
from radvit.data.datamodule import RadiographData
from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, load_splits, save_splits
from radvit.errors import BundleError, ConfigError, DataError, SomeInputsFailedError
from radvit.evaluation.baseline import blob_predictions
from radvit.evaluation.calibrate import fit_calibration
from radvit.evaluation.card import model_card
from radvit.evaluation.contact_sheet import View
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.evaluate import evaluate as measure
from radvit.evaluation.operating_point import OperatingPoint, ThresholdRule, choose
from radvit.evaluation.predict import model_input, predict
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.tables import table_rows
from radvit.evaluation.writing import Setting, write_evaluation
from radvit.inference.engine import BundleDetector, Engine, TorchEngine, open_engine, open_onnx
from radvit.inference.predictor import predict_folder
from radvit.inference.results import Totals
from radvit.models.backbone import count_parameters
from radvit.models.vit import RadiographViT
from radvit.origin import git_commit, now
from radvit.provenance import provenance, versions
from radvit.quantize.int8 import quantize
from radvit.records import Task
from radvit.report.build import Bands
from radvit.report.write import Answers, StudyWriter
from radvit.training.callbacks import AveragedWeights, progress
from radvit.training.module import RadiographModule

log = logging.getLogger(__name__)

LAST = Path("checkpoints") / "last.ckpt"
CONFIG, SPLITS, METRICS = "config.yaml", "splits.json", "metrics.csv"
SETTING = "setting.json"
CALIBRATION_IMAGES = 64

Measured = dict[str, dict[str, Metric]]


def train(config: TrainConfig) -> Bundle:
    """Train a model into a run folder: configuration, metrics, checkpoint, splits and bundle."""
    if config.resume is not None:
        config = resumed(Path(config.resume))
    folder = Path(config.run_dir)
    terminal.quiet_libraries()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing here reads such memory; filling costs 5 %
    cohort = assemble.cohort(config.data, assemble.preprocess(config.data), config.deid, config.read)
    splits = assemble.splits(config.data, cohort)
    check_cohort(cohort, splits)
    save_splits(folder / SPLITS, splits, cohort.samples)
    OmegaConf.save(OmegaConf.structured(config), folder / CONFIG)
    model = assemble.model(config.model, config.data.image_size, len(cohort.labels))
    sizes = (len(splits.train), len(splits.val), len(splits.test))
    weights = count_parameters(model) / 1e6
    log.info("%s, %.2f M weights; %d training, %d validation, %d test images", config.model.name, weights, *sizes)
    fit(config, folder, model, cohort, splits)
    bundle = freeze(config, folder, model, cohort, splits)
    log.info("saved %s; next: python evaluate.py checkpoint=%s", bundle.folder, folder)
    return bundle


def resumed(folder: Path) -> TrainConfig:
    """The configuration of a run that stopped before its end. Raises ConfigError where there is no such run."""
    if not (folder / CONFIG).is_file() or not (folder / LAST).is_file():
        raise ConfigError(f"resume={folder}: no {CONFIG} and {LAST} there; expected a run folder of train.py")
    if not zipfile.is_zipfile(folder / LAST):
        raise ConfigError(f"resume={folder}: {LAST} is damaged; this run can't go on")
    saved = saved_config(folder)
    moved = {
        name: {key: str(folder) if value == saved.run_dir else value for key, value in logger.items()}
        for name, logger in saved.logger.items()
    }
    return replace(saved, run_dir=str(folder), resume=str(folder), logger=moved)


def keep_metrics(folder: Path) -> None:
    """Number the metrics of a run's earlier part, metrics.1.csv and so on: the logger would write over them."""
    if (folder / METRICS).is_file():
        (folder / METRICS).rename(folder / f"metrics.{len(list(folder.glob('metrics.*.csv'))) + 1}.csv")


def saved_config(folder: Path) -> TrainConfig:
    """The configuration a run was trained with. Raises ConfigError where the folder has none that fits."""
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder}: no {CONFIG}; expected a run folder of train.py, or data=NAME data.path=DIR")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(folder / CONFIG))
        config = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder / CONFIG} is no configuration of train.py: {str(error).splitlines()[0]}") from error
    if not isinstance(config, TrainConfig):
        raise ConfigError(f"{folder / CONFIG} is no configuration of train.py")
    return config


def fit(config: TrainConfig, folder: Path, model: RadiographViT, cohort: Cohort, splits: Splits) -> None:
    """Run Lightning's loop; afterwards the model holds the averaged weights."""
    data = RadiographData(
        cohort,
        splits,
        batch_size=config.optim.batch_size,
        augment=assemble.augment(config.augment),
        preprocess=assemble.preprocess(config.data),
        seed=config.seed,
        workers=config.loader_workers,
        in_memory=config.data.in_memory,
    )
    module = RadiographModule(model, assemble.optim(config.optim), exclusive(cohort))
    last = ModelCheckpoint(dirpath=folder / LAST.parent, filename=LAST.stem, enable_version_counter=False)
    callbacks: list[Callback] = [progress(), last]
    if config.optim.ema_decay > 0:
        callbacks.append(AveragedWeights(config.optim.ema_decay))
    trainer = assemble.trainer(config.trainer, config.logger, folder, callbacks)
    keep_metrics(folder)
    try:
        trainer.fit(module, data, ckpt_path=str(folder / LAST) if config.resume else None)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}") from error
    except SystemExit as leaving:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning turned it off before it left
        raise KeyboardInterrupt from leaving
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()  # else the next run of a sweep would go on in this one's


def freeze(config: TrainConfig, folder: Path, model: RadiographViT, cohort: Cohort, splits: Splits) -> Bundle:
    """Choose calibration and operating point on the validation split, and save the bundle."""
    bundle = Bundle(
        folder=folder / "bundle",
        spec=model.spec,
        labels=cohort.labels,
        exclusive=exclusive(cohort),
        preprocess=assemble.preprocess(config.data),
        scope=assemble.scope(config.data),
        trained={
            "name": config.name,
            "seed": config.seed,
            "pretrained": config.model.pretrained,
            "weights_m": round(count_parameters(model) / 1e6, 2),
            "n_train": len(splits.train),
            "n_val": len(splits.val),
            "data_fingerprint": cohort.fingerprint,
            "split_hash": splits.hash,
            "version": __version__,
            "versions": versions(),
            "git_commit": git_commit(),
            "created": now(),
        },
    )
    if splits.val:
        engine = TorchEngine(model)
        platt = fit_calibration(answers(bundle, engine, cohort, splits.val))
        bundle = replace(bundle, calibration=platt.to_dict())
        rule = ThresholdRule(config.threshold.value)
        bundle = replace(bundle, operating_point=choose(answers(bundle, engine, cohort, splits.val), rule).to_dict())
    return save_bundle(bundle, model, model_card(bundle))


def exclusive(cohort: Cohort) -> bool:
    """Whether each image has exactly one of several labels and no boxes, so that a softmax fits."""
    targets = cohort.targets()
    boxes = any(sample.lesions for sample in cohort.samples)
    return len(cohort.labels) > 1 and not boxes and bool((targets.sum(1) == 1).all())


def answers(
    bundle: Bundle, engine: Engine, cohort: Cohort, indices: Sequence[int], batch_size: int = 16
) -> Predictions:
    """What a bundle's model says of some images of a cohort, calibrated."""
    detector = BundleDetector(bundle, engine)
    with terminal.bar("predicting") as advance:
        task, alone = bundle.spec.task, bundle.exclusive
        return predict(detector, cohort, indices, bundle.preprocess, task, alone, batch_size, advance)


def evaluate(config: EvaluateConfig) -> Measured:
    """Measure a saved model on a split, beside a baseline and, where asked for, beside its INT8 self."""
    terminal.quiet_libraries()
    bundle = load_bundle(Path(config.checkpoint))
    cohort, splits = measured_data(config, bundle)
    indices = splits[config.split.value]
    if not indices:
        raise DataError(f"split={config.split.value} holds no image of this data set")
    speed = None
    if config.quantize is QuantizeName.int8:
        log.info("exporting to ONNX and quantizing to INT8")
        speed = quantize(bundle, calibration_images(cohort, splits, bundle.preprocess))
    precision = config.precision.value
    main = answers(bundle, open_engine(bundle, precision), cohort, indices, config.batch_size)
    others: dict[str, Predictions] = {}
    if speed is not None:
        others["int8"] = answers(bundle, open_onnx(bundle, "int8"), cohort, indices, config.batch_size)
    if main.task is Task.DETECT:
        others["blobs"] = blob_predictions(cohort, indices, main)
    operating = OperatingPoint.from_dict(bundle.operating_point) if bundle.operating_point else None

    def metrics_of(predictions: Predictions, point: OperatingPoint | None) -> dict[str, Metric]:
        return measure(predictions, point, np.random.default_rng(config.seed), config.bootstrap)

    def view(row: int) -> View:
        sample = cohort.samples[indices[row]]
        found = sample.placement.to_model(main.boxes[row].xyxy)
        return View(cohort.pixels[indices[row]].astype(np.float32), found, sample.boxes_px())

    metrics = metrics_of(main, operating)
    precisions = {name: metrics_of(p, operating) for name, p in others.items() if name == "int8"}
    baselines = {name: metrics_of(p, None) for name, p in others.items() if name == "blobs"}
    name = f"ViT {precision.upper()}"
    command = " ".join(["python", "evaluate.py", *sys.argv[1:]])
    setting = Setting(name, operating, others=others, views=view, seed=config.seed, n_boot=config.bootstrap)
    setting = replace(setting, command=command)
    folder = Path(config.output) if config.output else run_folder(bundle) / "evaluation" / config.split.value
    origin = provenance(bundle, precision)
    write_evaluation(folder, metrics, baselines, precisions, main, origin, setting)
    terminal.table(table_rows(metrics, baselines, precisions, name))
    if speed is not None:
        terminal.table(speed.rows())
    log.info("wrote %s", folder / "REPORT.md")
    return {"metrics": metrics, **precisions, **baselines}


def run_folder(bundle: Bundle) -> Path:
    """The run a bundle came from, or the bundle's own folder where it stands alone."""
    return bundle.folder.parent if (bundle.folder.parent / CONFIG).is_file() else bundle.folder


def measured_data(config: EvaluateConfig, bundle: Bundle) -> tuple[Cohort, Splits]:
    """The images to measure on: those of the bundle's own run, with its splits, or another data set's.

    Raises BundleError where the run's own data are no longer those the bundle was trained on.
    """
    if config.data.kind is not SourceKind.run:
        cohort = assemble.cohort(config.data, bundle.preprocess, config.deid, config.read)
        if cohort.labels != bundle.labels:
            raise DataError(f"the data have the labels {cohort.labels}; the model was trained on {bundle.labels}")
        return cohort, assemble.splits(config.data, cohort)
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
    chosen = np.unique(np.linspace(0, len(splits.train) - 1, CALIBRATION_IMAGES).round().astype(int))
    return model_input(cohort, [splits.train[i] for i in chosen], preprocess)


def infer(config: InferConfig) -> None:
    """Read every study under a folder into a report. Raises SomeInputsFailedError where some could not be read."""
    terminal.quiet_libraries()
    bundle = load_bundle(Path(config.checkpoint))
    check_input(Path(config.input.path))
    bands = Bands(config.report.high, config.report.moderate, config.report.mention)
    precision = config.precision.value
    engine = open_engine(bundle, precision)
    writer = StudyWriter(
        output=Path(config.output),
        labels=bundle.labels,
        answers=Answers.BOXES if bundle.spec.task is Task.DETECT else Answers.IMAGES,
        provenance=provenance(bundle, precision),
        bands=bands,
        language=config.report.language.value,
    )
    loader = assemble.loader(config.deid, config.read, bundle.preprocess.voi, config.input.select)
    check_same_setting(writer, loader, config.input.any)
    with terminal.bar("reading studies", "studies") as advance:
        totals = predict_folder(
            Path(config.input.path),
            Path(config.output),
            loader,
            bundle.preprocess,
            BundleDetector(bundle, engine),
            refuse=(lambda _: None) if config.input.any else bundle.scope.refusal,
            finish=writer,
            workers=config.workers,
            batch_size=config.batch_size,
            progress=advance,
            written=writer.written,
            guard=assemble.guard(config.read),
        )
    report_totals(totals, writer.output)


def check_input(path: Path) -> None:
    """Raise ConfigError where there is nothing to read."""
    if not path.exists():
        raise ConfigError(f"input={path} does not exist; expected a DICOM file or a folder of them")
    if not path.is_file() and not any(inside.is_file() for inside in path.rglob("*")):
        raise ConfigError(f"input={path} is empty; expected a DICOM file or a folder of them")


def check_same_setting(writer: StudyWriter, loader: Loader, any_scope: bool) -> None:
    """Remember what an output folder's reports are made with; going on there with something else is refused.

    Raises ConfigError where the folder holds reports of another model, precision, language, key, selection, scope or
    bands.
    """
    record = {
        "weights_sha256": writer.provenance.weights,
        "precision": writer.provenance.precision,
        "language": writer.language,
        "key": loader.pseudonymizer.fingerprint,
        "select": loader.selection.source,
        "any": any_scope,
        "bands": asdict(writer.bands),
    }
    path = writer.output / SETTING
    if path.is_file():
        before = known_setting(path)
        differing = sorted(name for name in record if before.get(name) != record[name])
        if differing:
            raise ConfigError(
                f"output={writer.output} holds reports made with another {', '.join(differing)}; name a new one"
            )
    writer.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


def known_setting(path: Path) -> dict[str, Any]:
    """What an output folder's reports were made with; nothing is known where the file is damaged."""
    try:
        record = json.loads(path.read_text())
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def report_totals(totals: Totals, output: Path) -> None:
    """Say how a run ended. Raises SomeInputsFailedError where some inputs could not be read."""
    rate = totals.done / totals.seconds if totals.seconds else 0.0
    skipped = f", {totals.skipped} done before" if totals.skipped else ""
    unselected = f", {totals.unselected} files outside the selection" if totals.unselected else ""
    counts = (
        f"{totals.done} studies read ({rate:.2f} a second){skipped}, {totals.failed} failed, {totals.refused} refused"
        f"{unselected}"
    )
    where = f"{counts}; see {output / 'manifest.csv'}"
    if totals.failed or totals.refused or totals.files_failed:
        raise SomeInputsFailedError(where)
    log.info("%s", where)
