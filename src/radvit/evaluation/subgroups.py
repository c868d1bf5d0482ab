"""Metrics of subgroups: does a model serve women as well as men, AP views as well as PA ones?"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.errors import ConfigError, DataError
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.statistics import statistics_of
from radvit.metrics.bootstrap import Statistics, collect, percentile_interval
from radvit.metrics.matching import CENTER_INSIDE, HitRule
from radvit.records import Header, Task

Array = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[str]]

UNKNOWN = "unknown"
FEWEST = 10  # patients of a group; fewer say next to nothing
AGE_BANDS = (18, 40, 60, 80)  # years, where a band begins
HEADLINES: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFY: ("auroc", "sensitivity", "specificity", "accuracy"),
    Task.DETECT: ("froc/cpm", "lesion_sensitivity", "fp_per_image", "auroc"),
    Task.SEGMENT: ("dice", "froc/cpm", "lesion_sensitivity", "fp_per_image"),
}
"""What a table of groups shows; a figure shows the first."""
GAPS: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFY: ("auroc",),
    Task.DETECT: ("froc/cpm", "auroc"),
    Task.SEGMENT: ("dice", "froc/cpm"),
}
"""What the gaps of groups are measured in; more is better in all of them."""


@dataclass(frozen=True, slots=True)
class Group:
    """The metrics of the images with one value of a column."""

    column: str
    value: str
    metrics: Mapping[str, Metric]


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the worst group of a column lies below all images. value: of all less of the worst, with its interval.

    Which group is worst is read off the same images, so that a gap is larger here than it would be on others.
    """

    column: str
    metric: str
    worst: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Subgroups:
    """What was found. small: groups left out, as (column, value, patients)."""

    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    small: tuple[tuple[str, str, int], ...]

    def document(self) -> dict[str, Any]:
        """The content of subgroups.json."""
        groups = [
            {"column": g.column, "value": g.value, "metrics": {k: asdict(m) for k, m in g.metrics.items()}}
            for g in self.groups
        ]
        small = [dict(zip(("column", "value", "n_patients"), one, strict=True)) for one in self.small]
        return {"groups": groups, "gaps": [asdict(gap) for gap in self.gaps], "left_out": small}


def columns_of(headers: Sequence[Header], names: Sequence[str]) -> dict[str, list[str]]:
    """Values of some columns for each image, by what its header says. Raises ConfigError for a name that is none."""
    known: dict[str, Callable[[Header], str | None]] = {
        "sex": lambda header: header.sex,
        "age": lambda header: age_band(header.age),
        "view": lambda header: header.view,
        "manufacturer": lambda header: header.manufacturer,
        "modality": lambda header: header.modality,
        "body_part": lambda header: header.body_part,
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"groups={unknown[0]}; expected some of {', '.join(known)}, or a groups_file")
    return {name: [known[name](header) or UNKNOWN for header in headers] for name in names}


def read_columns(path: Path, whose: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The columns of a CSV for each image; what it has no row or no value for is `unknown`.

    Its first column is a key of `whose`, with the names that stand there, one an image. Raises DataError where it
    can't be read, names something twice, or knows none of the images.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"groups_file={path} can't be read as CSV ({type(error).__name__})") from error
    header, rows = (lines[0], lines[1:]) if lines else (["nothing"], [])
    if header[0] not in whose or len(set(header)) < len(header) or len(header) < 2:
        raise DataError(
            f"groups_file={path} begins with {','.join(header)}; expected {' or '.join(whose)}, then columns"
        )
    ragged = next((i for i, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if ragged is not None:
        raise DataError(f"groups_file={path}, row {ragged}: {len(rows[ragged - 2])} values; expected {len(header)}")
    known = {row[0]: row for row in rows}
    if len(known) < len(rows):
        raise DataError(f"groups_file={path}: some {header[0]} stands in two rows; expected each once")
    found = [known.get(name) for name in whose[header[0]]]
    if not any(found):
        raise DataError(f"groups_file={path} knows none of the {len(found)} images; expected the names of images.csv")
    return {name: [(row[i] if row else "") or UNKNOWN for row in found] for i, name in enumerate(header) if i}


def age_band(age: str | None) -> str | None:
    """The band of a DICOM age string: `063Y` is in `60-79`, and months, weeks and days are in the first band."""
    if age is None or len(age) != 4 or not age[:3].isdigit() or age[3] not in "DWMY":
        return None
    years = int(age[:3]) if age[3] == "Y" else int(age[:3]) // 12 if age[3] == "M" else 0
    begins = max((bound for bound in AGE_BANDS if bound <= years), default=0)
    ends = next((bound - 1 for bound in AGE_BANDS if bound > years), None)
    return f"{begins}+" if ends is None else f"{begins}-{ends}"


def subgroups(
    predictions: Predictions,
    columns: Columns,
    operating: OperatingPoint | None,
    rng: np.random.Generator,
    n_boot: int = 1000,
    hit_rule: HitRule = CENTER_INSIDE,
) -> Subgroups:
    """Measure every group of at least ten patients, and each column's worst against all images.

    columns: name -> a value an image. All groups see the same resamples of patients. A column with fewer than two such
    groups, or with no value known, is left out.
    """
    groups: list[Group] = []
    gaps: list[Gap] = []
    small: list[tuple[str, str, int]] = []
    whole = statistics_of(predictions, operating, hit_rule)
    seed = rng.integers(2**63)
    for column, values in columns.items():
        rows = {value: np.flatnonzero(np.array(values) == value).tolist() for value in sorted(set(values))}
        patients = {value: len({predictions.patients[i] for i in mine}) for value, mine in rows.items()}
        small += [(column, value, count) for value, count in patients.items() if count < FEWEST]
        kept = {value: rows[value] for value, count in patients.items() if count >= FEWEST}
        if len(kept) < 2:
            continue
        parts = {value: predictions.of(mine) for value, mine in kept.items()}
        statistics = {value: statistics_of(part, operating, hit_rule) for value, part in parts.items()}
        measure = _together(whole, statistics, kept, GAPS[predictions.task])
        exact = {key: float(value[0]) for key, value in measure(np.ones((1, len(predictions)))).items()}
        drawn = collect(measure, predictions.patients, np.random.default_rng(seed), n_boot)
        groups += [Group(column, value, _metrics(value, part, exact, drawn)) for value, part in parts.items()]
        for name in GAPS[predictions.task]:
            gap = _gap(column, list(kept), name, exact, drawn)
            gaps += [gap] if gap is not None else []
    return Subgroups(tuple(groups), tuple(gaps), tuple(small))


def _together(
    whole: Statistics, groups: Mapping[str, Statistics], rows: Mapping[str, Sequence[int]], names: Sequence[str]
) -> Statistics:
    """Every metric of every group, and some of all images, under the same weights; for keys see `_key`."""

    def measure(weights: Array) -> dict[str, Array]:
        every = whole(weights)
        found = {_key(None, name): every[name] for name in names if name in every}
        for value, statistics in groups.items():
            found |= {_key(value, name): x for name, x in statistics(weights[:, rows[value]]).items()}
        return found

    return measure


def _key(value: str | None, metric: str) -> str:
    """A metric of a group, or of all images for None."""
    return f"{metric} of all" if value is None else f"{metric} of group {value}"


def _metrics(
    value: str, part: Predictions, exact: Mapping[str, float], drawn: Mapping[str, Array]
) -> dict[str, Metric]:
    counts = (len(set(part.patients)), len(part), part.n_lesions)
    end = _key(value, "")
    found = {}
    for key in [key for key in exact if key.endswith(end)]:
        interval = percentile_interval(drawn[key]) if key in drawn else (float("nan"), float("nan"))
        found[key.removesuffix(end)] = Metric(exact[key], *interval, *counts)
    return found


def _gap(
    column: str, values: Sequence[str], metric: str, exact: Mapping[str, float], drawn: Mapping[str, Array]
) -> Gap | None:
    """None where the metric isn't defined for all images or for fewer than two groups."""
    whole = _key(None, metric)
    scores = {value: exact.get(_key(value, metric), float("nan")) for value in values}
    scores = {value: score for value, score in scores.items() if np.isfinite(score)}
    if len(scores) < 2 or not np.isfinite(exact.get(whole, float("nan"))):
        return None
    worst = min(scores, key=lambda value: scores[value])
    spread = drawn[whole] - drawn[_key(worst, metric)] if drawn else np.zeros(0)
    return Gap(column, metric, worst, exact[whole] - scores[worst], *percentile_interval(spread))
