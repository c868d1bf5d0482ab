"""What must hold before a model learns from a cohort; every problem is told at once."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter

import numpy as np

from radvit.data.samples import Cohort, Sample
from radvit.data.splits import NAMES, Splits, check_disjoint
from radvit.errors import DataError

logger = logging.getLogger(__name__)

ONE_AS_FLOAT16 = 0x3C00  # bits of 1.0: those of a number in [0, 1] are no larger
SLACK_PX = 1.0  # boxes drawn by hand may touch the border from outside


def check_cohort(cohort: Cohort, splits: Splits) -> None:
    """Raise DataError, naming every problem, where a cohort and its splits can't be trained and measured on.

    Checked: pixels are numbers in [0, 1]; truth is known, 0 or 1, and agrees with the boxes; boxes lie inside their
    image; no image stands twice; splits belong to the cohort, none is empty, and no patient is in two.
    The same pixels under two names in two splits are logged as a warning: published data sets have such.
    """
    problems = [*_pixels(cohort), *_truth(cohort), *_boxes(cohort), *_images(cohort), *_splits(cohort, splits)]
    if problems:
        raise DataError("the data can't be used: " + "; ".join(problems))
    twice = _same_pixels(cohort, splits)
    if twice:
        logger.warning("%d images stand in two splits with the same pixels", twice)


def check_masks(cohort: Cohort) -> None:
    """Raise DataError where there are no masks to learn from."""
    if cohort.masks is None:
        raise DataError("model.task=segment learns from masks and the data have none; expected polygons or mask files")


def check_unlabelled(cohort: Cohort, splits: Splits) -> None:
    """Raise DataError, naming every problem, where a cohort can't be pretrained on.

    The same as `check_cohort` but for the truth, which need not be known, and the test split, which is not read.
    """
    empty = "the test split is empty"
    problems = [*_pixels(cohort), *_images(cohort), *(p for p in _splits(cohort, splits) if p != empty)]
    if problems:
        raise DataError("the data can't be used: " + "; ".join(problems))


def _pixels(cohort: Cohort) -> list[str]:
    bad = sum(bool((np.ascontiguousarray(image).view(np.uint16) > ONE_AS_FLOAT16).any()) for image in cohort.pixels)
    return [f"{bad} images have pixels that are no number in [0, 1]"] if bad else []


def _truth(cohort: Cohort) -> list[str]:
    targets = cohort.targets()
    unknown = np.isnan(targets).any(1)
    problems = []
    if unknown.any():
        problems.append(f"{unknown.sum()} images have no known truth; expected data.truth=FILE with boxes")
    odd = ~unknown & ~np.isin(targets, (0, 1)).all(1)
    if odd.any():
        problems.append(f"{odd.sum()} images have targets other than 0 and 1")
    return problems


def _images(cohort: Cohort) -> list[str]:
    names = Counter(sample.name for sample in cohort.samples)
    twice = sum(count > 1 for count in names.values())
    return [f"{twice} images stand in the cohort more than once"] if twice else []


def _splits(cohort: Cohort, splits: Splits) -> list[str]:
    if splits.images != tuple(sample.name for sample in cohort.samples):
        return ["the splits were made for another cohort"]
    problems = [f"the {name} split is empty" for name in NAMES if not splits[name]]
    try:
        check_disjoint(cohort.samples, splits)
    except DataError as error:
        problems.append(str(error))
    return problems


def _boxes(cohort: Cohort) -> list[str]:
    found = Counter(p for p in (_box_problem(sample, len(cohort.labels)) for sample in cohort.samples) if p)
    return [f"{count} images have {problem}" for problem, count in found.items()]


def _box_problem(sample: Sample, classes: int) -> str | None:
    if not sample.lesions:
        return None
    xyxy = np.array([lesion.box_px for lesion in sample.lesions], np.float64)
    labels = {lesion.label for lesion in sample.lesions}
    size = np.array([sample.geometry.columns, sample.geometry.rows], np.float64)
    if not np.isfinite(xyxy).all() or (xyxy[:, 2:] <= xyxy[:, :2]).any():
        return "boxes without an area"
    if (xyxy[:, :2] < -SLACK_PX).any() or (xyxy[:, 2:] > size + SLACK_PX).any():
        return "boxes outside the image"
    if not labels <= set(range(classes)):
        return f"boxes of a class other than the {classes} known"
    return "boxes of a class that its targets call absent" if any(sample.targets[k] == 0 for k in labels) else None


def _same_pixels(cohort: Cohort, splits: Splits) -> int:
    """How many images of val or test have the pixels of an image of an earlier split."""
    seen: dict[bytes, str] = {}
    twice = 0
    for name in NAMES:
        for index in splits[name]:
            digest = hashlib.blake2b(cohort.pixels[index].tobytes(), digest_size=16).digest()
            twice += seen.setdefault(digest, name) != name
    return twice
