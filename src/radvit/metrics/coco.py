"""COCO's average precision of boxes, mAP@[.5:.95], as pycocotools computes it.

It differs from `detection` in its IoU thresholds, in precision being read at 101 recalls, in counting at most 100
detections an image and class, and in that each detection is a threshold of its own: equal scores count in the order of
the images. Source: Lin et al. 2014; pycocotools' COCOeval, area `all`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from radvit.metrics.classification import ratio
from radvit.metrics.detection import of_class, one_iou
from radvit.metrics.froc import count
from radvit.metrics.matching import Flat, Outcome, flatten, iou_pairs, match
from radvit.records import Boxes, Lesion

Array = npt.NDArray[np.float64]

IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_DETECTIONS = 100


@dataclass(frozen=True, slots=True)
class Hits:
    """Detections of one class at one IoU threshold, per hit (G of them, best first) and image: sparse (G, I).

    hits: the hit itself. every: it, and the detections between the hit before and it. lesions: (I,) number an image.
    """

    every: sparse.csr_array
    hits: sparse.csr_array
    lesions: Array

    def average_precision(self, columns: Array) -> Array:
        """Mean precision at 101 recalls. columns: (I, B) weights. Returns (B,); nan where there is no lesion."""
        found = np.cumsum(self.hits @ columns, axis=0)  # (G, B)
        called = np.cumsum(self.every @ columns, axis=0)
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        envelope = np.concatenate([envelope, np.zeros((1, columns.shape[1]))])  # recalls that are never reached
        n_lesions = self.lesions @ columns
        recall = found / np.maximum(n_lesions, 1)
        read = [envelope[np.searchsorted(recall[:, b], RECALLS), b].mean() for b in range(columns.shape[1])]
        return np.where(n_lesions > 0, read, np.nan)


Classes = tuple[tuple[Hits, ...], ...]


def coco_classes(boxes: Sequence[Boxes], truth: Sequence[Sequence[Lesion]]) -> Classes:
    """Match the detections of each class that has lesions, at every IoU threshold, once for all resamples."""
    found, true = flatten(boxes, truth)
    return tuple(
        _hits(_best(of_class(found, label)), of_class(true, label), len(truth))
        for label in np.unique(true.labels).tolist()
    )


def coco_map(classes: Classes, weights: Array | None, n_images: int) -> Array:
    """Mean over IoU thresholds and classes; nan where no class has a lesion.

    weights: (I,) or (B, I), how often each image counts. Returns one number or (B,).
    """
    every = np.ones(n_images) if weights is None else weights
    columns = np.ascontiguousarray(np.atleast_2d(every).T)
    if not classes:
        return np.full(every.shape[:-1], np.nan)[()]
    each = np.stack([np.mean([hits.average_precision(columns) for hits in one], axis=0) for one in classes])  # (C, B)
    mean = ratio(np.nansum(each, axis=0), np.isfinite(each).sum(0))
    return mean[0] if every.ndim == 1 else mean


def _best(found: Flat) -> Flat:
    """The best detections of each image, from the best of all images down; their scores become unlike ranks."""
    order = np.argsort(-found.scores, kind="stable")
    image = found.image[order]
    grouped = np.argsort(image, kind="stable")
    first = np.searchsorted(image[grouped], image)
    within = np.empty(len(order), np.int64)
    within[grouped] = np.arange(len(order))
    kept = order[within - first < MOST_DETECTIONS]
    ranks = np.arange(len(kept), 0, -1, dtype=np.float64)
    return Flat(found.xyxy[kept], ranks, found.labels[kept], found.image[kept])


def _hits(found: Flat, true: Flat, n_images: int) -> tuple[Hits, ...]:
    pairs = iou_pairs(found, true, min(IOU_THRESHOLDS))
    lesions = np.bincount(true.image, minlength=n_images).astype(np.float64)
    tables = []
    for iou in IOU_THRESHOLDS:
        hit = match(len(found), one_iou(pairs, iou)) == Outcome.HIT
        levels = found.scores[hit]  # ranks, best first
        every = count(levels, found.scores, found.image, n_images)
        tables.append(Hits(every, count(levels, levels, found.image[hit], n_images), lesions))
    return tuple(tables)
