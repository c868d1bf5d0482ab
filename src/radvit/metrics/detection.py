"""Average precision of boxes, matched greedily by IoU.

Sources: Lin et al. 2014, COCO (greedy matching, repeats are false); Baumgartner et al. 2021, nnDetection (IoU from
0.1 to 0.5 in steps of 0.05: a small lesion that is found counts even where its outline is loose).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from radvit.metrics.classification import ratio
from radvit.metrics.froc import count
from radvit.metrics.matching import Flat, Outcome, Pairs, flatten, iou_pairs, match
from radvit.records import Boxes, Lesion

Array = npt.NDArray[np.float64]

IOU_THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


@dataclass(frozen=True, slots=True)
class ClassTally:
    """Detections of one class per distinct score that can hold a hit (G, highest first) and image, sparse (G, I).

    every: all detections. hits: those that are true, one table an IoU threshold. lesions: (I,) number an image.
    """

    every: sparse.csr_array
    hits: tuple[sparse.csr_array, ...]
    lesions: Array

    def average_precision(self, columns: Array) -> Array:
        """All-point interpolated AP, meaned over IoU thresholds.

        columns: (I, B) weights. Returns (B,); nan where there is no lesion.
        """
        called = np.cumsum(self.every @ columns, axis=0)  # (G, B)
        n_lesions = self.lesions @ columns
        areas = [_interpolated_area(hits @ columns, called) for hits in self.hits]
        return ratio(np.mean(areas, axis=0), n_lesions)


def mean_average_precision(
    boxes: Sequence[Boxes],
    truth: Sequence[Sequence[Lesion]],
    weights: Array | None = None,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
) -> Array:
    """Mean AP over IoU thresholds and classes, all-point interpolation, no limit on detections an image.

    weights: (I,) or (B, I), how often each image counts. Returns one number or (B,). Classes without a lesion don't
    count; nan where no class has one. Equal scores are one threshold.
    """
    return map_of(class_tallies(boxes, truth, iou_thresholds), weights, len(truth))


def class_tallies(
    boxes: Sequence[Boxes], truth: Sequence[Sequence[Lesion]], iou_thresholds: Sequence[float] = IOU_THRESHOLDS
) -> tuple[ClassTally, ...]:
    """Match the detections of each class that has lesions, at every IoU threshold, once for all resamples."""
    found, true = flatten(boxes, truth)
    return tuple(
        _class_tally(of_class(found, label), of_class(true, label), len(truth), iou_thresholds)
        for label in np.unique(true.labels).tolist()
    )


def map_of(tallies: Sequence[ClassTally], weights: Array | None, n_images: int) -> Array:
    """Mean over classes of their average precision, under each weighting; see `mean_average_precision`."""
    every = np.ones(n_images) if weights is None else weights
    columns = np.ascontiguousarray(np.atleast_2d(every).T)
    if not tallies:
        return np.full(every.shape[:-1], np.nan)[()]
    per_class = np.stack([tally.average_precision(columns) for tally in tallies])  # (C, B)
    mean = ratio(np.nansum(per_class, axis=0), np.isfinite(per_class).sum(0))
    return mean[0] if every.ndim == 1 else mean


def _class_tally(found: Flat, true: Flat, n_images: int, iou_thresholds: Sequence[float]) -> ClassTally:
    pairs = iou_pairs(found, true, min(iou_thresholds))
    hit = [match(len(found), one_iou(pairs, iou)) == Outcome.HIT for iou in iou_thresholds]
    levels = -np.unique(-found.scores[np.logical_or.reduce(hit)])  # precision can only rise where something may hit
    hits = tuple(count(levels, found.scores[h], found.image[h], n_images) for h in hit)
    lesions = np.bincount(true.image, minlength=n_images).astype(np.float64)
    return ClassTally(count(levels, found.scores, found.image, n_images), hits, lesions)


def _interpolated_area(hits: Array, called: Array) -> Array:
    """Sum over levels of hits there x best precision at this or any lower level; hits, called: (G, B)."""
    precision = np.cumsum(hits, axis=0)
    np.divide(precision, called, out=precision, where=called > 0)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.asarray(np.einsum("gb,gb->b", hits, envelope))


def one_iou(pairs: Pairs, iou: float) -> Pairs:
    """The pairs that overlap at least so much."""
    keep = pairs.affinity >= iou
    return Pairs(pairs.found[keep], pairs.true[keep], pairs.affinity[keep])


def of_class(flat: Flat, label: int) -> Flat:
    """The boxes of one label."""
    keep = flat.labels == label
    return Flat(flat.xyxy[keep], flat.scores[keep], flat.labels[keep], flat.image[keep])
