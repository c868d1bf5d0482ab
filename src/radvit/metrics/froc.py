"""Free-response ROC: how many lesions are found at a given number of false alarms an image.

Sources: Bunch et al. 1978 (the curve); Setio et al. 2017, LUNA16 (the seven rates and their mean, the "competition
performance metric"). Repeated detections of a lesion are neither hits nor false alarms, as in LUNA16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from radvit.metrics.classification import ratio
from radvit.metrics.matching import CENTER_INSIDE, HitRule, Outcome, Spacing, flatten, hit_pairs, match
from radvit.records import Boxes, Lesion

Array = npt.NDArray[np.float64]

FP_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """FROC curve at each distinct score, highest threshold first and the lowest included; each (T,) float64.

    A detection counts where score >= threshold. fp_per_image is over all images, those without lesions included.
    """

    thresholds: Array
    fp_per_image: Array
    sensitivity: Array


@dataclass(frozen=True, slots=True)
class Tally:
    """Hits and false alarms of a cohort, per distinct score that has a hit (G of them, highest first) and image.

    Sensitivity can change at these scores only, so they are all that a resample needs. hits, alarms: sparse (G, I);
    alarms[g] are those below the previous such score and not below this one. lesions: (I,) number an image.
    """

    thresholds: Array
    hits: sparse.csr_array
    alarms: sparse.csr_array
    lesions: Array

    def sensitivity_at(self, fp_rates: Sequence[float], weights: Array | None = None) -> Array:
        """Highest sensitivity reachable with at most each rate of false alarms an image.

        A step function: no interpolation between thresholds. weights: (I,) or (B, I), how often each image counts.
        Returns (R,) or (B, R); nan where there is no lesion.
        """
        every = np.ones(len(self.lesions)) if weights is None else weights
        rows = np.atleast_2d(every)  # (B, I)
        columns = np.ascontiguousarray(rows.T)
        found = np.cumsum(self.hits @ columns, axis=0)  # (G, B)
        alarms = np.cumsum(self.alarms @ columns, axis=0)
        found = np.concatenate([np.zeros((1, len(rows))), found])  # row k: hits at the k highest thresholds
        allowed = np.asarray(fp_rates)[:, None] * rows.sum(1)  # (R, B)
        reached = np.stack([(alarms <= limit).sum(0) for limit in allowed])  # (R, B): thresholds within the limit
        out = ratio(np.take_along_axis(found, reached, axis=0), rows @ self.lesions).T  # (B, R)
        return out[0] if every.ndim == 1 else out


def tally(
    boxes: Sequence[Boxes],
    truth: Sequence[Sequence[Lesion]],
    rule: HitRule = CENTER_INSIDE,
    spacing: Spacing = None,
) -> Tally:
    """Match every image's detections with its lesions once, and keep what resamples need. spacing: see `hit_pairs`."""
    scores, outcome, image = _outcomes(boxes, truth, rule, spacing)
    hit, false = outcome == Outcome.HIT, outcome == Outcome.FALSE
    levels = -np.unique(-scores[hit])  # distinct scores with a hit, highest first
    lesions = np.array([len(lesions) for lesions in truth], np.float64)
    return Tally(
        levels,
        count(levels, scores[hit], image[hit], len(truth)),
        count(levels, scores[false], image[false], len(truth)),
        lesions,
    )


def count(levels: Array, scores: Array, image: npt.NDArray[np.int64], n_images: int) -> sparse.csr_array:
    """Detections per level and image, sparse (G, I): each stands at the highest level that its score reaches.

    levels: (G,) descending. Detections below the lowest level are left out.
    """
    row = np.searchsorted(-levels, -scores, side="left")
    kept = row < len(levels)
    entries = (np.ones(int(kept.sum())), (row[kept], image[kept]))
    return sparse.csr_array(sparse.coo_array(entries, shape=(len(levels), n_images)))


def froc_curve(
    boxes: Sequence[Boxes],
    truth: Sequence[Sequence[Lesion]],
    rule: HitRule = CENTER_INSIDE,
    spacing: Spacing = None,
) -> Curve:
    """The whole FROC curve of a cohort; equal scores are one threshold. Empty where nothing was detected."""
    scores, outcome, _ = _outcomes(boxes, truth, rule, spacing)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.r_[np.diff(ordered) != 0, True][: len(ordered)])  # last detection of each distinct score
    hits = np.cumsum(outcome[order] == Outcome.HIT)[last]
    alarms = np.cumsum(outcome[order] == Outcome.FALSE)[last]
    n_lesions = sum(len(lesions) for lesions in truth)
    return Curve(ordered[last], ratio(alarms, max(1, len(truth))), ratio(hits, n_lesions))


def sensitivity_at(
    boxes: Sequence[Boxes],
    truth: Sequence[Sequence[Lesion]],
    fp_rates: Sequence[float] = FP_RATES,
    rule: HitRule = CENTER_INSIDE,
) -> Array:
    """Highest sensitivity reachable at each rate of false alarms an image; (R,)."""
    return tally(boxes, truth, rule).sensitivity_at(fp_rates)


def cpm(boxes: Sequence[Boxes], truth: Sequence[Sequence[Lesion]], rule: HitRule = CENTER_INSIDE) -> float:
    """Competition performance metric: mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false alarms an image."""
    return float(sensitivity_at(boxes, truth, FP_RATES, rule).mean())


def at_threshold(
    boxes: Sequence[Boxes],
    truth: Sequence[Sequence[Lesion]],
    threshold: float,
    rule: HitRule = CENTER_INSIDE,
    spacing: Spacing = None,
) -> tuple[Array, Array]:
    """Hits and false alarms of each image among detections with score >= threshold; two (I,) arrays."""
    scores, outcome, image = _outcomes(boxes, truth, rule, spacing)
    kept = scores >= threshold
    hits = np.bincount(image[kept & (outcome == Outcome.HIT)], minlength=len(truth))
    alarms = np.bincount(image[kept & (outcome == Outcome.FALSE)], minlength=len(truth))
    return hits.astype(np.float64), alarms.astype(np.float64)


def _outcomes(
    boxes: Sequence[Boxes], truth: Sequence[Sequence[Lesion]], rule: HitRule, spacing: Spacing
) -> tuple[Array, npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    found, true = flatten(boxes, truth)
    return found.scores, match(len(found), hit_pairs(found, true, rule, spacing)), found.image
