"""Which lesions a detector finds: by size, by contrast, by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.evaluation.predictions import Predictions
from radvit.metrics.bootstrap import collect, percentile_interval
from radvit.metrics.classification import ratio
from radvit.metrics.matching import CENTER_INSIDE, HitRule, assign, flatten, hit_pairs
from radvit.records import Lesion

Array = npt.NDArray[np.float64]

SIZE_EDGES = (6.0, 10.0, 20.0, 30.0)  # mm; 6 is where follow-up begins, 30 where a nodule becomes a mass (Fleischner)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Lesions of one kind. found: share of them found at the operating point, with its interval over patients."""

    by: str
    value: str
    n_lesions: int
    n_patients: int
    found: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Strata:
    """Every stratum, and for every lesion its size in mm (nan where unknown) and score (0 where no box hits it)."""

    rows: tuple[Stratum, ...]
    sizes: Array
    scores: Array

    def document(self) -> list[dict[str, Any]]:
        """The content of strata.json."""
        return [asdict(row) for row in self.rows]


def strata(
    predictions: Predictions,
    threshold: float,
    places: Sequence[Sequence[str]],
    rng: np.random.Generator,
    n_boot: int = 1000,
    hit_rule: HitRule = CENTER_INSIDE,
) -> Strata:
    """The share of lesions found among those of each size, contrast and place.

    threshold: of a box's score. places: where each lesion of each image lies, in words. What is known of no lesion is
    left out; all strata see the same resamples of patients.
    """
    lesions = list(chain.from_iterable(predictions.truth))
    scores = lesion_scores(predictions, hit_rule)
    image = np.repeat(np.arange(len(predictions)), [len(true) for true in predictions.truth])
    kinds = {
        "size": [size_band(lesion) for lesion in lesions],
        "contrast": contrast_bands(lesions),
        "place": [place or UNKNOWN for place in chain.from_iterable(places)],
    }
    kinds = {by: values for by, values in kinds.items() if set(values) - {UNKNOWN}}
    cells = {(by, value): np.array(values) == value for by, values in kinds.items() for value in in_order(values)}
    hits = scores >= threshold

    def measure(weights: Array) -> Mapping[str, Array]:
        mine = weights[:, image]  # (B, lesions)
        return {str(i): ratio(mine @ (cell & hits), mine @ cell) for i, cell in enumerate(cells.values())}

    exact = measure(np.ones((1, len(predictions))))
    drawn = collect(measure, predictions.patients, rng, n_boot)
    rows = []
    for i, ((by, value), cell) in enumerate(cells.items()):
        patients = len({predictions.patients[j] for j in image[cell]})
        interval = percentile_interval(drawn.get(str(i), np.zeros(0)))
        rows.append(Stratum(by, value, int(cell.sum()), patients, float(exact[str(i)][0]), *interval))
    sizes = np.array([np.nan if lesion.size_mm is None else lesion.size_mm for lesion in lesions], np.float64)
    return Strata(tuple(rows), sizes, scores)


def lesion_scores(predictions: Predictions, hit_rule: HitRule) -> Array:
    """Score of the box that finds each lesion, image after image; 0 where none does."""
    found, true = flatten(predictions.boxes, predictions.truth)
    scores = np.zeros(len(true))
    for box, lesion in assign(hit_pairs(found, true, hit_rule, predictions.spacing)).items():
        scores[lesion] = found.scores[box]
    return scores


def size_band(lesion: Lesion) -> str:
    """The band of a lesion's longest diameter, such as `6-10 mm`."""
    if lesion.size_mm is None:
        return UNKNOWN
    edges = (0.0, *SIZE_EDGES)
    low = max(edge for edge in edges if edge <= lesion.size_mm)
    high = next((edge for edge in SIZE_EDGES if edge > lesion.size_mm), None)
    return f"{low:g} mm and more" if high is None else f"{low:g}-{high:g} mm"


def contrast_bands(lesions: Sequence[Lesion]) -> list[str]:
    """The third of all lesions whose contrast is known that each lies in; `unknown` where all of them are alike."""
    known = np.array([lesion.contrast for lesion in lesions if lesion.contrast is not None], np.float64)
    low, high = np.quantile(known, [1 / 3, 2 / 3]) if len(known) else (0.0, 0.0)
    if not low < high:
        return [UNKNOWN] * len(lesions)
    words = (f"below {low:.3g}", f"{low:.3g} to {high:.3g}", f"{high:.3g} and more")
    return [UNKNOWN if x.contrast is None else words[int(x.contrast >= low) + int(x.contrast >= high)] for x in lesions]


def in_order(values: Sequence[str]) -> list[str]:
    """Each value once: numbers by size, then words, then what is unknown."""

    def key(value: str) -> tuple[int, float, str]:
        first = value.removeprefix("below ").partition(" ")[0].partition("-")[0]
        below = value.startswith("below ")
        if value == UNKNOWN:
            return 2, 0.0, value
        return (0, float(first) - below, value) if first.replace(".", "", 1).isdigit() else (1, 0.0, value)

    return sorted(set(values), key=key)
