"""A detector over the images of a cohort."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from radvit.data.preprocess import Placement, Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.evaluation.predictions import Predictions
from radvit.inference.protocols import Answer, Detector, Explain, Segmenter
from radvit.metrics.hausdorff import hd95
from radvit.metrics.matching import HitRule, flatten, hit_pairs
from radvit.metrics.segmentation import Overlap, bits, joined, overlap
from radvit.records import Boxes, FloatArray, Task

Progress = Callable[[int, int], None]


def model_input(cohort: Cohort, indices: Sequence[int], preprocess: Preprocess) -> FloatArray:
    """Normalised images as a model takes them: (n, 1, S, S) float32."""
    pixels = cohort.pixels[np.asarray(indices, np.int64)].astype(np.float32)
    return preprocess.normalise(pixels)[:, None]


def placed(boxes: Boxes, placement: Placement) -> Boxes:
    """Boxes in model pixels as boxes in pixels of the stored image."""
    return Boxes(placement.to_image(boxes.xyxy), boxes.scores, boxes.labels)


def predict(
    detector: Detector,
    cohort: Cohort,
    indices: Sequence[int],
    preprocess: Preprocess,
    task: Task,
    exclusive: bool,
    batch_size: int,
    progress: Progress | None = None,
    segmenter: Segmenter | None = None,
    explain: Explain | None = None,
) -> Predictions:
    """What a detector says of some images of a cohort, beside their truth; boxes in pixels of the stored images.

    segmenter: the same model where its masks are to be held against those of the cohort, at the model's resolution.
    explain: where a classifier looked, for boxes of its own.
    """
    scores: list[FloatArray] = []
    counts: list[Overlap] = []
    distances: list[npt.NDArray[np.float64]] = []
    boxes: list[Boxes] = []
    samples = [cohort.samples[i] for i in indices]
    for start in range(0, len(indices), batch_size):
        some = indices[start : start + batch_size]
        images = model_input(cohort, some, preprocess)
        answer = _answer(images, detector, segmenter, explain)
        scores.append(answer.scores)
        if answer.masks is not None and cohort.masks is not None:
            true = bits(cohort.masks[np.asarray(some)], len(cohort.labels))
            counts.append(overlap(answer.masks, true))
            distances.append(hd95(answer.masks, true))
        boxes += [placed(b, cohort.samples[i].placement) for i, b in zip(some, answer.boxes, strict=True)]
        if progress:
            progress(min(start + batch_size, len(indices)), len(indices))
    return Predictions(
        images=tuple(s.header.image for s in samples),
        patients=tuple(s.header.patient for s in samples),
        studies=tuple(s.header.study for s in samples),
        labels=cohort.labels,
        scores=np.concatenate(scores),
        targets=np.array([s.targets for s in samples], np.float32),
        boxes=tuple(boxes),
        truth=tuple(s.lesions for s in samples),
        task=task,
        exclusive=exclusive,
        weak=explain is not None,
        overlap=joined(counts) if counts else None,
        hd95=np.concatenate(distances) if distances else None,
        spacing=spacings(samples) if task.localises or explain is not None else None,
    )


def _answer(images: FloatArray, detector: Detector, segmenter: Segmenter | None, explain: Explain | None) -> Answer:
    answer = Answer(*detector(images)) if segmenter is None else segmenter.look(images)
    if explain is None:
        return answer
    seen = [explain(image, scores) for image, scores in zip(images, answer.scores, strict=True)]
    return answer._replace(boxes=[one.boxes for one in seen])


def refuse_without_spacing(samples: Sequence[Sample], rule: HitRule) -> None:
    """Raise DataError where the rule counts millimetres and an image with a lesion has no pixel spacing."""
    found, true = flatten([Boxes.empty()] * len(samples), [sample.lesions for sample in samples])
    hit_pairs(found, true, rule, spacings(samples))


def spacings(samples: Sequence[Sample]) -> npt.NDArray[np.float64]:
    """Row and column spacing of each image in mm, (N, 2); nan where it has none."""
    rows = [(np.nan, np.nan) if s.geometry.spacing_mm is None else s.geometry.spacing_mm for s in samples]
    return np.array(rows, np.float64).reshape(len(samples), 2)
