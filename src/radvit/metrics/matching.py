"""Which detection goes with which lesion: the cohort flattened, candidate pairs, and greedy assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.errors import ConfigError, DataError
from radvit.plural import counted
from radvit.records import Boxes, Lesion

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Spacing = Array | None  # of I images: (I, 2), row and column spacing in mm, nan where an image has none


class HitKind(Enum):
    """When a detection counts as having found a lesion."""

    CENTER = "center"
    IOU = "iou"
    DISTANCE = "distance"
    DISTANCE_MM = "distance_mm"


@dataclass(frozen=True, slots=True)
class HitRule:
    """When a detection hits a lesion of the same label.

    center: its centre lies in the true box, edges included (value unused). iou: overlap >= value, in (0, 1].
    distance, distance_mm: the centres are at most value pixels, or millimetres, apart. Raises ConfigError on a value
    that fits no rule.
    """

    kind: HitKind = HitKind.CENTER
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind is HitKind.IOU and not 0 < self.value <= 1:
            raise ConfigError(f"hit rule iou with value {self.value}; expected a value in (0, 1]")
        if self.kind in (HitKind.DISTANCE, HitKind.DISTANCE_MM) and not self.value > 0:
            unit = "pixels" if self.kind is HitKind.DISTANCE else "millimetres"
            raise ConfigError(f"hit rule {self.kind.value} with value {self.value}; expected {unit} above 0")

    def words(self) -> str:
        """The rule as half a sentence, for reports."""
        return {
            HitKind.CENTER: "the centre of the predicted box lies inside the true box",
            HitKind.IOU: f"predicted and true box overlap with an IoU of at least {self.value:g}",
            HitKind.DISTANCE: f"the centres of predicted and true box are at most {self.value:g} px apart",
            HitKind.DISTANCE_MM: f"the centres of predicted and true box are at most {self.value:g} mm apart",
        }[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind.value, "value": self.value}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> HitRule:
        """The inverse of `to_dict`."""
        return HitRule(HitKind(values["kind"]), float(values["value"]))


CENTER_INSIDE = HitRule()


class Outcome(IntEnum):
    """What became of one detection. REPEAT: it hits only lesions that a better detection has already found."""

    FALSE = 0
    HIT = 1
    REPEAT = 2


@dataclass(frozen=True, slots=True)
class Flat:
    """Boxes of a whole cohort in one table: xyxy (N, 4) float64 px, scores (N,), labels (N,), image (N,) index."""

    xyxy: Array
    scores: Array
    labels: Ints
    image: Ints

    def __len__(self) -> int:
        return len(self.xyxy)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Detection and lesion of the same image and label, one row each: indices into two tables and their affinity.

    Sorted by the detection's score, then by affinity, best first: the order in which greedy matching looks at them.
    """

    found: Ints
    true: Ints
    affinity: Array


def flatten_boxes(boxes: Sequence[Boxes]) -> Flat:
    """All detections of a cohort, image after image, in float64."""
    count = [len(b) for b in boxes]
    if not sum(count):
        return Flat(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Flat(
        np.concatenate([b.xyxy for b in boxes]).astype(np.float64),
        np.concatenate([b.scores for b in boxes]).astype(np.float64),
        np.concatenate([b.labels for b in boxes]),
        np.repeat(np.arange(len(boxes)), count),
    )


def flatten_lesions(truth: Sequence[Sequence[Lesion]]) -> Flat:
    """All true lesions of a cohort, image after image, with a score of 1."""
    rows = list(chain.from_iterable(truth))
    image = np.repeat(np.arange(len(truth)), [len(lesions) for lesions in truth])
    xyxy = np.array([lesion.box_px for lesion in rows], np.float64).reshape(len(rows), 4)
    return Flat(xyxy, np.ones(len(rows)), np.array([lesion.label for lesion in rows], np.int64), image.astype(np.int64))


def flatten(boxes: Sequence[Boxes], truth: Sequence[Sequence[Lesion]]) -> tuple[Flat, Flat]:
    """Detections and lesions of the same images. Raises DataError where the two differ in their number of images."""
    if len(boxes) != len(truth):
        raise DataError(f"detections of {len(boxes)} images and lesions of {len(truth)}; expected equal numbers")
    return flatten_boxes(boxes), flatten_lesions(truth)


def hit_pairs(found: Flat, true: Flat, rule: HitRule, spacing: Spacing = None) -> Pairs:
    """Pairs in which the detection hits the lesion by `rule`; affinity is the IoU or minus the centres' distance.

    spacing: of the images, for a distance in mm. Raises DataError where an image with a lesion then has none.
    """
    f, t = _same_image_and_label(found, true)
    a, b = found.xyxy[f], true.xyxy[t]
    if rule.kind is HitKind.IOU:
        affinity = paired_iou(a, b)
        return _sorted(found, f, t, affinity, affinity >= rule.value)
    center = (a[:, :2] + a[:, 2:]) / 2
    away = center - (b[:, :2] + b[:, 2:]) / 2  # (P, 2), x and y
    if rule.kind is HitKind.DISTANCE_MM:
        away = away * _mm_of_pixel(true, spacing)[t]
    apart = np.linalg.norm(away, axis=1)
    if rule.kind in (HitKind.DISTANCE, HitKind.DISTANCE_MM):
        return _sorted(found, f, t, -apart, apart <= rule.value)
    inside = np.logical_and(center >= b[:, :2], center <= b[:, 2:]).all(1)
    return _sorted(found, f, t, -apart, np.asarray(inside))


def iou_pairs(found: Flat, true: Flat, least: float) -> Pairs:
    """Pairs that overlap with an IoU of at least `least`; affinity is the IoU."""
    return hit_pairs(found, true, HitRule(HitKind.IOU, least))


def match(n_found: int, pairs: Pairs) -> npt.NDArray[np.int8]:
    """Outcome of each of n_found detections, (N,) int8 of `Outcome`.

    From the best score down, a detection takes the free lesion it fits best. So each lesion is hit once, by its best
    detection; a detection that fits only taken lesions is a REPEAT, and one that fits none is FALSE.
    """
    outcome = np.zeros(n_found, np.int8)
    outcome[pairs.found] = Outcome.REPEAT
    outcome[list(assign(pairs))] = Outcome.HIT
    return outcome


def assign(pairs: Pairs) -> dict[int, int]:
    """The greedy one-to-one assignment behind `match`: index of a detection -> index of the lesion it hits."""
    hit: dict[int, int] = {}
    taken: set[int] = set()
    for f, t in zip(pairs.found.tolist(), pairs.true.tolist(), strict=True):
        if f not in hit and t not in taken:
            hit[f] = t
            taken.add(t)
    return hit


def paired_iou(a: Array, b: Array) -> Array:
    """IoU of box i of `a` with box i of `b`; a, b: (N, 4) xyxy. Returns (N,); 0 where the union is empty."""
    sides = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    shared = sides.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    out = np.zeros(len(a))
    np.divide(shared, union, out=out, where=union > 0)
    return out


def _mm_of_pixel(true: Flat, spacing: Spacing) -> Array:
    """Width and height in mm of a pixel of each lesion's image, (L, 2)."""
    known = np.full((len(true), 2), np.nan) if spacing is None else spacing[true.image, ::-1]
    without = np.unique(true.image[~np.isfinite(known).all(1)])
    if len(without):
        raise DataError(
            f"hit rule distance_mm, but {counted(len(without), 'image')} with lesions without pixel spacing; expected "
            "one in each, or hit.rule=distance with pixels"
        )
    return known


def _same_image_and_label(found: Flat, true: Flat) -> tuple[Ints, Ints]:
    """Every detection beside every lesion of its image, where the labels agree; `true` is sorted by image."""
    start = np.searchsorted(true.image, found.image, side="left")
    count = np.searchsorted(true.image, found.image, side="right") - start
    f = np.repeat(np.arange(len(found)), count)
    within = np.arange(len(f)) - np.repeat(np.cumsum(count) - count, count)
    t = np.repeat(start, count) + within
    same = found.labels[f] == true.labels[t]
    return f[same], t[same]


def _sorted(found: Flat, f: Ints, t: Ints, affinity: Array, keep: npt.NDArray[np.bool_]) -> Pairs:
    f, t, affinity = f[keep], t[keep], affinity[keep]
    order = np.lexsort((-affinity, f, -found.scores[f]))
    return Pairs(f[order], t[order], affinity[order])
