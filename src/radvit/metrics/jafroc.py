"""JAFROC's figure of merit: how far ratings of lesions stand above false alarms on images without lesions.

Source: Chakraborty and Berbaum 2004, Medical Physics 31(8); the form that takes false alarms from images without
lesions alone. It needs no threshold and no rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.metrics.classification import auroc
from radvit.metrics.matching import CENTER_INSIDE, HitRule, Spacing, assign, flatten, hit_pairs
from radvit.records import Boxes, Lesion

Array = npt.NDArray[np.float64]

UNMARKED = -1.0  # below every score: a lesion that nothing hits, an image without lesions on which nothing was found


@dataclass(frozen=True, slots=True)
class Ratings:
    """What the figure of merit compares. values: (R,), lesions' ratings and the highest of each image without lesions.

    lesion: (R,), which of them are of lesions. image: (R,) index of the image each belongs to.
    """

    values: Array
    lesion: npt.NDArray[np.bool_]
    image: npt.NDArray[np.int64]

    def merit(self, weights: Array | None = None) -> Array:
        """Chance that a lesion is rated above the highest false alarm of an image without lesions, ties half.

        weights: (I,) or (B, I), how often each image counts. Returns one number or (B,); nan where there is no lesion
        or no image without one.
        """
        return auroc(self.values, self.lesion, None if weights is None else weights[..., self.image])


def ratings(
    boxes: Sequence[Boxes],
    truth: Sequence[Sequence[Lesion]],
    rule: HitRule = CENTER_INSIDE,
    spacing: Spacing = None,
) -> Ratings:
    """Rate every lesion by the detection that hits it, and every image without lesions by its best detection.

    spacing: see `hit_pairs`. Raises DataError where the two differ in their number of images.
    """
    found, true = flatten(boxes, truth)
    of_lesions = np.full(len(true), UNMARKED)
    for detection, lesion in assign(hit_pairs(found, true, rule, spacing)).items():
        of_lesions[lesion] = found.scores[detection]
    highest = np.full(len(truth), UNMARKED)
    np.maximum.at(highest, found.image, found.scores)
    healthy = np.flatnonzero([not lesions for lesions in truth])
    return Ratings(
        np.r_[of_lesions, highest[healthy]],
        np.r_[np.ones(len(true), bool), np.zeros(len(healthy), bool)],
        np.r_[true.image, healthy],
    )


def jafroc(boxes: Sequence[Boxes], truth: Sequence[Sequence[Lesion]], rule: HitRule = CENTER_INSIDE) -> float:
    """The figure of merit of a cohort; nan where it has no lesion, or no image without one."""
    return float(ratings(boxes, truth, rule).merit())
