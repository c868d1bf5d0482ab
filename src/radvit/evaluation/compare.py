"""Two models on the same images: is one better, and how sure is that?

Areas under ROC curves are compared by DeLong's test, everything else by a bootstrap that draws the same patients for
both models (Efron and Tibshirani 1993, chapter 8 and 15.4; Field and Welsh 2007 for whole patients).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from radvit.errors import DataError
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.reading import Saved
from radvit.evaluation.statistics import statistics_of, study_scores
from radvit.metrics.bootstrap import Statistics, collect, first_appearance, percentile_interval, two_sided_p
from radvit.metrics.delong import Contrast, areas, difference
from radvit.metrics.segmentation import Overlap
from radvit.records import Lesion

Array = npt.NDArray[np.float64]

ALPHA = 0.05
LOWER_IS_BETTER = frozenset({"brier", "ece", "fp_per_image", "hd95"})


class Method(Enum):
    """What an interval and its p-value come from."""

    DELONG = "DeLong"
    CLUSTERED = "DeLong over patients"
    BOOTSTRAP = "bootstrap"


class Verdict(Enum):
    """What a comparison of one metric says."""

    A = "A is better"
    B = "B is better"
    SAME = "the same"
    OPEN = "no difference shown"
    UNDEFINED = "not defined"


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two models. a, b: its values; tested: b less a; nan where it isn't defined."""

    a: float
    b: float
    tested: Contrast
    method: Method
    verdict: Verdict


def compare(a: Saved, b: Saved, rng: np.random.Generator, n_boot: int = 1000) -> dict[str, Difference]:
    """Compare every metric that both evaluations have, each at its own run's frozen thresholds.

    Raises DataError, saying why, where the two were not measured on the same images, truth and terms.
    """
    refuse_unlike(a, b)
    first, second = a.predictions, ordered(b.predictions, a.predictions.images)
    if not same_masks(first.overlap, second.overlap):
        first, second = replace(first, overlap=None, hd95=None), replace(second, overlap=None, hd95=None)
    measures = statistics_of(first, a.operating, a.hit_rule), statistics_of(second, b.operating, b.hit_rule)
    once = np.ones((1, len(first)))
    values = [{name: float(value[0]) for name, value in measure(once).items()} for measure in measures]
    names = [name for name in values[0] if name in values[1]]
    drawn = collect(paired(*measures, names), first.patients, rng, n_boot)
    ranked = _ranked(first, second)
    return {name: _one(name, values[0][name], values[1][name], drawn.get(name), ranked.get(name)) for name in names}


def paired(a: Statistics, b: Statistics, names: Sequence[str]) -> Statistics:
    """Differences, b less a, of some metrics under the same weights: the same patients for both."""

    def measure(weights: Array) -> dict[str, Array]:
        of_a, of_b = a(weights), b(weights)
        return {name: of_b[name] - of_a[name] for name in names}

    return measure


def refuse_unlike(a: Saved, b: Saved) -> None:
    """Raise DataError where two evaluations can't be compared, naming the first reason."""
    p, q = a.predictions, b.predictions
    reasons = (
        (p.task is not q.task, f"their tasks differ ({p.task.value}; {q.task.value})"),
        (p.labels != q.labels, f"their labels differ ({', '.join(p.labels)}; {', '.join(q.labels)})"),
        (p.exclusive != q.exclusive, "in one alone the labels exclude each other"),
        (a.split != b.split, f"their splits differ ({a.split}; {b.split})"),
        (set(p.images) != set(q.images), _other_images(p.images, q.images)),
        (a.hit_rule != b.hit_rule, f"their hit rules differ ({a.hit_rule.words()}; {b.hit_rule.words()})"),
    )
    for differs, why in reasons:
        if differs:
            raise DataError(f"{a.folder} and {b.folder} can't be compared: {why}; expected the same")
    changed = _other_truth(p, ordered(q, p.images))
    if changed:
        raise DataError(f"{a.folder} and {b.folder} can't be compared: {changed}; expected the same")


def ordered(predictions: Predictions, images: Sequence[str]) -> Predictions:
    """The same predictions with their images in another order."""
    if predictions.images == tuple(images):
        return predictions
    place = {image: i for i, image in enumerate(predictions.images)}
    return predictions.of([place[image] for image in images])


def same_masks(a: Overlap | None, b: Overlap | None) -> bool:
    """Whether masks were held against the same true ones; models of other input sizes see others."""
    return a is not None and b is not None and np.array_equal(a.true, b.true)


def verdict_of(name: str, tested: Contrast) -> Verdict:
    """What a tested difference, b less a, says at a level of 5 %."""
    if not np.isfinite(tested.p):
        return Verdict.UNDEFINED
    if tested.p >= ALPHA:
        return Verdict.SAME if tested.low == tested.difference == tested.high else Verdict.OPEN
    return Verdict.B if (tested.difference > 0) is not lower_is_better(name) else Verdict.A


def lower_is_better(name: str) -> bool:
    """Whether a smaller value of a metric, or of its form for one label (`hd95/nodule`), is the better one."""
    return name.partition("/")[0] in LOWER_IS_BETTER


def _one(name: str, a: float, b: float, drawn: Array | None, ranked: tuple[Contrast, Method] | None) -> Difference:
    if ranked is not None and np.isfinite(ranked[0].p):
        return Difference(a, b, *ranked, verdict_of(name, ranked[0]))
    tested = by_bootstrap(b - a, np.zeros(0) if drawn is None else drawn)
    return Difference(a, b, tested, Method.BOOTSTRAP, verdict_of(name, tested))


def by_bootstrap(apart: float, drawn: Array) -> Contrast:
    """A difference with the interval and p of its resamples (B,); nan where the difference itself isn't defined."""
    values = drawn if np.isfinite(apart) else np.zeros(0)
    return Contrast(apart, *percentile_interval(values), two_sided_p(values))


def _ranked(a: Predictions, b: Predictions) -> dict[str, tuple[Contrast, Method]]:
    """AUROC of images and of studies by DeLong's test; of one label only, as it has no form for a mean over labels."""
    if len(a.labels) > 1:
        return {}
    of_images = by_delong(a.scores, b.scores, a.targets, a.patients)
    (study_a, targets, first), (study_b, _, _) = study_scores(a), study_scores(b)
    return {
        "auroc": of_images,
        "study_auroc": by_delong(study_a, study_b, targets, [a.patients[i] for i in first]),
    }


def by_delong(
    a: npt.NDArray[np.floating], b: npt.NDArray[np.floating], targets: npt.ArrayLike, patients: Sequence[str]
) -> tuple[Contrast, Method]:
    """DeLong's test of b against a, over patients where one has several rows. Scores and targets: (N, 1)."""
    whose = first_appearance(patients)
    method = Method.DELONG if len(np.unique(whose)) == len(whose) else Method.CLUSTERED
    scores = np.stack([a[:, 0], b[:, 0]]).astype(np.float64)
    return difference(areas(scores, np.asarray(targets)[:, 0], whose)), method


def _other_images(a: Sequence[str], b: Sequence[str]) -> str:
    alone = len(set(a) ^ set(b))
    return f"their images differ ({len(a)}; {len(b)}; {alone} in one alone)"


def _other_truth(a: Predictions, b: Predictions) -> str:
    """What of the truth differs, in words; empty where nothing does."""
    if (a.patients, a.studies) != (b.patients, b.studies):
        return "an image is another patient's or study's in one of them"
    labelled = int((a.targets != b.targets).any(1).sum())
    boxed = sum(_boxes(p) != _boxes(q) for p, q in zip(a.truth, b.truth, strict=True))
    if not labelled and not boxed:
        return ""
    return f"their truth differs (labels of {labelled} images, lesions of {boxed})"


def _boxes(lesions: Sequence[Lesion]) -> list[tuple[int, tuple[float, ...]]]:
    return sorted((lesion.label, lesion.box_px) for lesion in lesions)
