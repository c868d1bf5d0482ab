"""What a model said about a set of images, beside the truth: all that an evaluation needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from radvit.errors import DataError
from radvit.metrics.segmentation import Overlap
from radvit.records import Boxes, Lesion, Task

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Scores and boxes of N images and K labels; every sequence is in the same order of images.

    images, patients, studies: pseudonyms, (N,). scores: (N, K) calibrated probabilities in [0, 1]. targets: (N, K)
    of 0/1. boxes: detections in pixels of the stored image, empty for pure classifiers. truth: true lesions, in the
    same pixels. exclusive: True where exactly one of the K > 1 labels holds for an image (scores are a softmax).
    weak: boxes beside the scores of a classifier, around where it looked. overlap: pixels of found and true masks, of a
    segmenter where the masks are known; hd95: (N, K), how far their outlines lie apart, in pixels of the model's input,
    nan where one is empty. spacing: (N, 2), row and column spacing in mm of the stored images, nan where one has none;
    None where nothing is known of it.
    Raises DataError where lengths differ, a score is no probability, or a study has two patients.
    """

    images: tuple[str, ...]
    patients: tuple[str, ...]
    studies: tuple[str, ...]
    labels: tuple[str, ...]
    scores: Floats
    targets: Floats
    boxes: tuple[Boxes, ...]
    truth: tuple[tuple[Lesion, ...], ...]
    task: Task
    exclusive: bool = False
    weak: bool = False
    overlap: Overlap | None = None
    hd95: Array | None = None
    spacing: Array | None = None

    def __post_init__(self) -> None:
        n, k = len(self.images), len(self.labels)
        lengths = [len(x) for x in (self.patients, self.studies, self.boxes, self.truth)]
        if lengths != [n] * 4:
            raise DataError(f"patients, studies, boxes, truth of {lengths} images; expected {n} each")
        if self.scores.shape != (n, k) or self.targets.shape != (n, k):
            raise DataError(f"scores {self.scores.shape}, targets {self.targets.shape}; expected ({n}, {k}) both")
        if self.overlap is not None and self.overlap.true.shape != (n, k):
            raise DataError(f"pixel counts {self.overlap.true.shape}; expected ({n}, {k})")
        if (self.hd95 is None) != (self.overlap is None) or (self.hd95 is not None and self.hd95.shape != (n, k)):
            raise DataError(f"distances of outlines; expected ({n}, {k}) where there are pixel counts, and only there")
        if self.spacing is not None and self.spacing.shape != (n, 2):
            raise DataError(f"spacing {self.spacing.shape}; expected ({n}, 2)")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise DataError("a score is not a probability; expected finite numbers in [0, 1]")
        if len(set(zip(self.studies, self.patients, strict=True))) != len(set(self.studies)):
            raise DataError("a study has images of two patients; expected one patient a study")
        if self.exclusive and (k < 2 or not np.all(self.targets.sum(1) == 1)):
            raise DataError(f"{k} labels that exclude each other; expected at least 2 and exactly one an image")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def localises(self) -> bool:
        """Whether there are boxes to measure."""
        return self.task.localises or self.weak

    def of(self, rows: Sequence[int]) -> Predictions:
        """The same of some images, in the order of these rows."""
        return replace(
            self,
            images=tuple(self.images[i] for i in rows),
            patients=tuple(self.patients[i] for i in rows),
            studies=tuple(self.studies[i] for i in rows),
            scores=self.scores[list(rows)],
            targets=self.targets[list(rows)],
            boxes=tuple(self.boxes[i] for i in rows),
            truth=tuple(self.truth[i] for i in rows),
            overlap=None if self.overlap is None else self.overlap.of(list(rows)),
            hd95=None if self.hd95 is None else self.hd95[list(rows)],
            spacing=None if self.spacing is None else self.spacing[list(rows)],
        )

    @property
    def n_lesions(self) -> int:
        """Number of true lesions in all images."""
        return sum(len(lesions) for lesions in self.truth)
