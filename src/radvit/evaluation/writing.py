"""An evaluation on disk: metrics.json, the tables it follows from, figures and REPORT.md."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from radvit.errors import DataError
from radvit.evaluation import figures, sanity_page, strata_page, subgroups_page
from radvit.evaluation.contact_sheet import Views, contact_sheet
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.figures import Result
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.page import Drawn, page
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.report_html import html_page
from radvit.evaluation.sanity import Sanity
from radvit.evaluation.strata import Strata
from radvit.evaluation.subgroups import HEADLINES, Columns, Subgroups
from radvit.metrics.calibrated import Calibration
from radvit.metrics.matching import CENTER_INSIDE, HitRule
from radvit.metrics.segmentation import Overlap
from radvit.records import Provenance

Metrics = Mapping[str, Metric]
MASK_COLUMNS = ("image", "patient", "label", "found", "true", "both", "hd95")
SPACING_COLUMNS = ("row_mm", "column_mm")
BOX_COLUMNS = ("image", "patient", "x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class Setting:
    """How an evaluation was made, for its page and figures.

    name: what the model is called in tables and legends. others: predictions of baselines and of other precisions,
    by the names under which their metrics stand: they get curves, and their tables are written too. views: shows
    images for the sheet of worst errors; None leaves it out. seed, n_boot: as given to `evaluate`. command: what
    makes this folder again. split: what was measured. seen: what of it the model saw in training, in words. columns:
    a value an image of each column that groups are made by, and groups: what was found of these. strata: which lesions
    are found. sanity: whether a classifier's maps of where it looked depend on its weights. calibration: what the
    scores went through.
    """

    name: str = "model"
    operating: OperatingPoint | None = None
    hit_rule: HitRule = CENTER_INSIDE
    others: Mapping[str, Predictions] = field(default_factory=dict)
    views: Views | None = None
    seed: int = 0
    n_boot: int = 1000
    command: str = ""
    split: str = ""
    seen: str = ""
    columns: Columns = field(default_factory=dict)
    groups: Subgroups | None = None
    strata: Strata | None = None
    sanity: Sanity | None = None
    calibration: Calibration | None = None


def write_evaluation(
    folder: Path,
    metrics: Metrics,
    baselines: Mapping[str, Metrics],
    precisions: Mapping[str, Metrics],
    predictions: Predictions,
    provenance: Provenance,
    setting: Setting = Setting(),
) -> None:
    """Write everything an evaluation leaves; the same arguments give the same bytes.

    Raises DataError where `setting.others` has a name that neither baselines nor precisions have.
    """
    unknown = set(setting.others) - set(baselines) - set(precisions)
    if unknown:
        raise DataError(f"predictions of {sorted(unknown)}; expected names among the baselines and precisions")
    folder.mkdir(parents=True, exist_ok=True)
    document = metrics_document(metrics, baselines, precisions, predictions, provenance, setting)
    write_json(folder / "metrics.json", document)
    write_truth(folder, predictions)
    write_scores(folder, predictions)
    write_further(folder, predictions, setting)
    for name, other in setting.others.items():
        write_scores(folder / ("baselines" if name in baselines else "precisions") / name, other)
    results = [Result(name, other, {**precisions, **baselines}[name]) for name, other in setting.others.items()]
    drawn = write_figures(folder, [Result(setting.name, predictions, metrics), *results], setting)
    further = (
        strata_page.section(setting.strata) if setting.strata else "",
        subgroups_page.section(setting.groups, predictions.task) if setting.groups else "",
        sanity_page.section(setting.sanity) if setting.sanity else "",
    )
    text = page(
        setting.name,
        predictions,
        metrics,
        baselines,
        precisions,
        provenance,
        setting.operating,
        setting.hit_rule,
        setting.calibration,
        drawn,
        setting.command,
        setting.seen,
        further,
    )
    (folder / "REPORT.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(html_page(text, folder), encoding="utf-8")


def write_further(folder: Path, predictions: Predictions, setting: Setting) -> None:
    """Write what was found beside the metrics: strata.json, subgroups.json with groups.csv, saliency_check.json."""
    if setting.strata is not None:
        write_json(folder / "strata.json", {"strata": setting.strata.document()})
    if setting.groups is not None:
        write_json(folder / "subgroups.json", setting.groups.document())
        write_groups(folder, predictions, setting.columns)
    if setting.sanity is not None:
        write_json(folder / "saliency_check.json", setting.sanity.document())


def metrics_document(
    metrics: Metrics,
    baselines: Mapping[str, Metrics],
    precisions: Mapping[str, Metrics],
    predictions: Predictions,
    provenance: Provenance,
    setting: Setting,
) -> dict[str, Any]:
    """The content of metrics.json; how it was measured stands under provenance, in `extra`."""
    how = {
        "task": predictions.task.value,
        "labels": list(predictions.labels),
        "exclusive": predictions.exclusive,
        "weak_boxes": predictions.weak,
        "operating_point": None if setting.operating is None else setting.operating.to_dict(),
        "hit_rule": setting.hit_rule.to_dict(),
        "calibration": None if setting.calibration is None else setting.calibration.to_dict(),
        "bootstrap": {"resamples": setting.n_boot, "seed": setting.seed, "unit": "patient", "level": 0.95},
        "split": setting.split,
        "seen_in_training": setting.seen,
    }
    origin = asdict(provenance)
    return {
        "metrics": _plain(metrics),
        "baselines": {name: _plain(m) for name, m in baselines.items()},
        "precisions": {name: _plain(m) for name, m in precisions.items()},
        "provenance": origin | {"extra": origin["extra"] | {"evaluation": how}},
    }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON that any parser reads: numbers that aren't defined become null."""
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_scores(folder: Path, predictions: Predictions) -> None:
    """Write what the model said: predictions.csv, boxes.csv of detectors, and masks.csv: pixel counts of masks."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(
        folder / "predictions.csv", ("image", "patient", "label", "score"), _by_label(predictions, predictions.scores)
    )
    if predictions.localises:
        _write_csv(folder / "boxes.csv", (*BOX_COLUMNS, "score", "label"), _box_rows(predictions))
    if predictions.overlap is not None and predictions.hd95 is not None:
        masks = _mask_rows(predictions, predictions.overlap, predictions.hd95)
        _write_csv(folder / "masks.csv", MASK_COLUMNS, masks)


def write_truth(folder: Path, predictions: Predictions) -> None:
    """Write the truth: images.csv, truth_labels.csv and, for detectors, truth_boxes.csv."""
    columns: list[Sequence[object]] = [predictions.images, predictions.patients, predictions.studies]
    header = ["image", "patient", "study"]
    if predictions.spacing is not None:
        mm = [[x if math.isfinite(x) else "" for x in column] for column in predictions.spacing.T.tolist()]
        header, columns = [*header, *SPACING_COLUMNS], [*columns, *mm]
    _write_csv(folder / "images.csv", header, zip(*columns, strict=True))
    present = _by_label(predictions, (predictions.targets > 0).astype(np.int64))
    _write_csv(folder / "truth_labels.csv", ("image", "patient", "label", "present"), present)
    if predictions.localises:
        _write_csv(folder / "truth_boxes.csv", (*BOX_COLUMNS, "label"), _lesion_rows(predictions))


def write_groups(folder: Path, predictions: Predictions, columns: Columns) -> None:
    """Write groups.csv: which group of each column an image belongs to."""
    rows = zip(predictions.images, *columns.values(), strict=True)
    _write_csv(folder / "groups.csv", ("image", *columns), rows)


def write_figures(folder: Path, results: Sequence[Result], setting: Setting) -> list[Drawn]:
    """Draw and save every figure that these results allow; returns what is on disk."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    return [Drawn(save_figure(folder, name, figure), caption) for name, figure, caption in _figures(results, setting)]


def _figures(results: Sequence[Result], setting: Setting) -> Iterator[tuple[str, Figure, str]]:
    main = results[0]
    detects = main.predictions.localises
    if detects and main.predictions.n_lesions:
        rng = np.random.default_rng(setting.seed)
        figure = figures.froc_figure(results, setting.hit_rule, rng, setting.n_boot)
        yield "froc", figure, "Sensitivity at each number of false alarms an image (FROC)"
    yield "roc_pr", figures.ranking_figure(results), "ROC and precision-recall curves of the image score"
    if setting.groups is not None and setting.groups.groups:
        whole = main.metrics[HEADLINES[main.predictions.task][0]]
        figure = subgroups_page.forest_figure(setting.groups, main.predictions.task, whole)
        yield "subgroups", figure, "Each subgroup beside all images"
    if setting.sanity is not None:
        yield "saliency_check", sanity_page.figure(setting.sanity), "Maps of where it looked, as weights are randomised"
    yield "reliability", figures.reliability_figure(main), "Calibrated scores against the share of positives"
    if setting.operating is None:
        return
    lesions, box_threshold = setting.strata, setting.operating.box_threshold
    if lesions is not None and box_threshold is not None and np.isfinite(lesions.sizes).any():
        yield "score_by_size", strata_page.size_figure(lesions, box_threshold), "Which lesions are found, by size"
    yield "confusion", figures.confusion_figure(main, setting.operating), "Calls at the frozen threshold"
    if detects and setting.views is not None and setting.operating.box_threshold is not None:
        threshold = setting.operating.box_threshold
        sheet = contact_sheet(main.predictions, threshold, setting.hit_rule, setting.views)
        yield "worst_errors", sheet, "The largest missed lesions and the most confident false alarms"


def save_figure(folder: Path, name: str, figure: Figure) -> str:
    """Save a figure below the folder's figures, and give its path from there."""
    path = f"figures/{name}.png"
    FigureCanvasAgg(figure)
    figure.savefig(folder / path, metadata={"Software": None})
    return path


def _plain(metrics: Metrics) -> dict[str, dict[str, float | int]]:
    return {name: asdict(metric) for name, metric in metrics.items()}


def _finite(value: Any) -> Any:
    """The same document with null for every number that isn't finite."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)  # Python floats are written by repr: reading them back gives the same number


def _by_label(predictions: Predictions, table: Any) -> Iterator[tuple[object, ...]]:
    for image, patient, row in zip(predictions.images, predictions.patients, table.tolist(), strict=True):
        for label, value in zip(predictions.labels, row, strict=True):
            yield image, patient, label, value


def _box_rows(predictions: Predictions) -> Iterator[tuple[object, ...]]:
    for image, patient, boxes in zip(predictions.images, predictions.patients, predictions.boxes, strict=True):
        columns = zip(boxes.xyxy.tolist(), boxes.scores.tolist(), boxes.labels.tolist(), strict=True)
        for xyxy, score, label in columns:
            yield image, patient, *xyxy, score, predictions.labels[label]


def _lesion_rows(predictions: Predictions) -> Iterator[tuple[object, ...]]:
    for image, patient, lesions in zip(predictions.images, predictions.patients, predictions.truth, strict=True):
        for lesion in lesions:
            yield image, patient, *(float(v) for v in lesion.box_px), predictions.labels[lesion.label]


def _mask_rows(
    predictions: Predictions, counts: Overlap, hd95: npt.NDArray[np.float64]
) -> Iterator[tuple[object, ...]]:
    pixels = np.stack([counts.found, counts.true, counts.both], 2)  # (N, K, 3)
    distances = hd95.ravel().tolist()  # row by row, as the labels come
    for (image, patient, label, three), apart in zip(_by_label(predictions, pixels), distances, strict=True):
        yield image, patient, label, *three, apart if math.isfinite(apart) else ""  # type: ignore[misc]
