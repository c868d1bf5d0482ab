"""An evaluation read back from disk: what `writing` wrote, as predictions and the settings they were measured with."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.errors import DataError, RadvitError
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.writing import BOX_COLUMNS, SPACING_COLUMNS
from radvit.metrics.matching import HitRule
from radvit.metrics.segmentation import Overlap
from radvit.records import Boxes, Lesion, Task

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Saved:
    """An evaluation as it stands on disk.

    split, seen: as in `Setting`. origin, metrics: its provenance and what was measured, as in metrics.json.
    """

    folder: Path
    predictions: Predictions
    operating: OperatingPoint | None
    hit_rule: HitRule
    split: str
    seen: str
    origin: Mapping[str, Any]
    metrics: Mapping[str, Metric] = field(default_factory=dict)


def read_evaluation(folder: Path) -> Saved:
    """Read the tables and settings of an evaluation; its scores and boxes come back bit by bit.

    Raises DataError where a file is missing or damaged, or was written before metrics.json told the task.
    """
    try:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        origin = document["provenance"]
        how = origin["extra"]["evaluation"]
        if "task" not in how:
            raise DataError(
                "metrics.json does not tell the task, as an earlier version wrote it; run evaluate.py again"
            )
        point, rule = how["operating_point"], how["hit_rule"]
        return Saved(
            folder,
            _predictions(folder, how),
            None if point is None else OperatingPoint.from_dict(point),
            HitRule.from_dict(rule),
            str(how["split"]),
            str(how["seen_in_training"]),
            origin,
            {name: _metric(record) for name, record in document["metrics"].items()},
        )
    except RadvitError as error:
        raise DataError(f"{folder}: {error}") from error
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; expected what evaluate.py writes") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{folder}: damaged ({type(error).__name__}: {error}); run evaluate.py again") from error


def read_metrics(folder: Path) -> dict[str, Metric]:
    """The model's own metrics as metrics.json has them; what is not defined is nan. Raises DataError as above."""
    try:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return {name: _metric(one) for name, one in document["metrics"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder / 'metrics.json'}: damaged ({type(error).__name__}); run evaluate.py again"
        ) from error


def _metric(one: Mapping[str, Any]) -> Metric:
    value, low, high = (float("nan") if one[key] is None else float(one[key]) for key in ("value", "low", "high"))
    return Metric(value, low, high, int(one["n_patients"]), int(one["n_images"]), int(one["n_lesions"]))


def _predictions(folder: Path, how: Mapping[str, Any]) -> Predictions:
    labels, task = tuple(str(label) for label in how["labels"]), Task(how["task"])
    whose = list(_rows(folder / "images.csv"))
    images = tuple(row["image"] for row in whose)
    place = {image: i for i, image in enumerate(images)}
    if len(place) != len(images):
        raise DataError("images.csv names an image twice; expected each once")
    column = {label: k for k, label in enumerate(labels)}
    masks = folder / "masks.csv"
    weak = bool(how.get("weak_boxes", False))  # earlier versions had none
    boxed = task.localises or weak
    nowhere: tuple[tuple[Lesion, ...], ...] = ((),) * len(images)
    return Predictions(
        images=images,
        patients=tuple(row["patient"] for row in whose),
        studies=tuple(row["study"] for row in whose),
        labels=labels,
        scores=_grid(folder / "predictions.csv", "score", place, column),
        targets=_grid(folder / "truth_labels.csv", "present", place, column),
        boxes=_boxes(folder / "boxes.csv", place, column) if boxed else (Boxes.empty(),) * len(images),
        truth=_lesions(folder / "truth_boxes.csv", place, column) if boxed else nowhere,
        task=task,
        exclusive=bool(how["exclusive"]),
        weak=weak,
        overlap=_overlap(masks, place, column) if masks.is_file() else None,
        hd95=_distances(masks, place, column) if masks.is_file() else None,
        spacing=_spacing(whose) if whose and SPACING_COLUMNS[0] in whose[0] else None,
    )


def _spacing(whose: Sequence[Row]) -> npt.NDArray[np.float64]:
    """Row and column spacing of each image in mm, (N, 2); nan where the table leaves it empty."""
    return np.array([[float(row[name] or "nan") for name in SPACING_COLUMNS] for row in whose], np.float64)


def _rows(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file, strict=True)


def _grid(path: Path, name: str, place: Mapping[str, int], column: Mapping[str, int]) -> npt.NDArray[np.float64]:
    """A table with a row an image and label as (N, K). Raises DataError where one is missing or no number."""
    grid = np.full((len(place), len(column)), np.nan)
    for row in _rows(path):
        grid[place[row["image"]], column[row["label"]]] = float(row[name])
    if not np.isfinite(grid).all():
        raise DataError(f"{path.name} lacks a number; expected one for each of {grid.size} images and labels")
    return grid


def _boxes(path: Path, place: Mapping[str, int], column: Mapping[str, int]) -> tuple[Boxes, ...]:
    found: list[list[tuple[Sequence[float], float, int]]] = [[] for _ in place]
    for row in _rows(path):
        found[place[row["image"]]].append((_xyxy(row), float(row["score"]), column[row["label"]]))
    return tuple(
        Boxes(
            np.array([xyxy for xyxy, _, _ in one], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in one], np.float32),
            np.array([label for _, _, label in one], np.int64),
        )
        for one in found
    )


def _lesions(path: Path, place: Mapping[str, int], column: Mapping[str, int]) -> tuple[tuple[Lesion, ...], ...]:
    true: list[list[Lesion]] = [[] for _ in place]
    for row in _rows(path):
        true[place[row["image"]]].append(Lesion(_xyxy(row), column[row["label"]]))
    return tuple(map(tuple, true))


def _xyxy(row: Row) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(row[name]) for name in BOX_COLUMNS[2:])
    return x1, y1, x2, y2


def _overlap(path: Path, place: Mapping[str, int], column: Mapping[str, int]) -> Overlap:
    return Overlap(*(_grid(path, name, place, column).astype(np.int64) for name in ("found", "true", "both")))


def _distances(path: Path, place: Mapping[str, int], column: Mapping[str, int]) -> npt.NDArray[np.float64]:
    """HD95 of each image and label, (N, K); nan where the table leaves it empty."""
    grid = np.full((len(place), len(column)), np.nan)
    for row in _rows(path):
        if row["hd95"]:
            grid[place[row["image"]], column[row["label"]]] = float(row["hd95"])
    return grid
