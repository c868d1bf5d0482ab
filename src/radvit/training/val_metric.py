"""The one number by which weights are compared while training: that of the task, on the validation split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from radvit.metrics.classification import auroc
from radvit.metrics.froc import cpm
from radvit.metrics.segmentation import Overlap, dice, joined, overlap
from radvit.models.decode import decode, image_scores
from radvit.models.decode_mask import MaskSpec, probabilities
from radvit.models.outputs import arrays
from radvit.models.spec import ModelSpec
from radvit.models.windows import decode_windows
from radvit.records import Boxes, Lesion, Task

NAMES = {Task.CLASSIFY: "auroc", Task.DETECT: "cpm", Task.SEGMENT: "dice"}  # larger is better in all of them


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model says of one image, and what is true of it. index: the image's place in the cohort.

    scores, targets: (K,), of classification. boxes, lesions: of detection, in model pixels. pixels: of segmentation.
    """

    index: int
    scores: npt.NDArray[np.float32] | None = None
    targets: npt.NDArray[np.float32] | None = None
    boxes: Boxes | None = None
    lesions: tuple[Lesion, ...] = ()
    pixels: Overlap | None = None


def seen(spec: ModelSpec, exclusive: bool, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> list[Seen]:
    """A batch's answers and truth, image by image; see radvit.data.datamodule for the batch's keys."""
    indices, answers = batch["index"].tolist(), arrays(outputs)
    if spec.task is Task.CLASSIFY:
        scores = image_scores(answers["logits"], exclusive)
        targets = batch["targets"].cpu().numpy()
        return [Seen(i, s, t) for i, s, t in zip(indices, scores, targets, strict=True)]
    if spec.task is Task.SEGMENT:
        stride = spec.strides[0]
        inside = probabilities(answers[f"mask_{stride}"], stride) >= MaskSpec().inside
        true = batch["mask"].cpu().numpy() > 0
        return [Seen(i, pixels=overlap(inside[j : j + 1], true[j : j + 1])) for j, i in enumerate(indices)]
    if spec.window is not None:
        found, _ = decode_windows(answers["windows"], batch["image"].shape[-1], spec.window)
    else:
        found = decode(answers, spec.strides, spec.decode, spec.detector)
    truth = (lesions(b, k) for b, k in zip(batch["boxes"], batch["labels"], strict=True))
    return [Seen(i, boxes=b, lesions=t) for i, b, t in zip(indices, found, truth, strict=True)]


def lesions(boxes: Tensor, labels: Tensor) -> tuple[Lesion, ...]:
    """True boxes, (n, 4) xyxy, and their labels, (n,), as lesions."""
    sides = (tuple(side) for side in boxes.tolist())
    return tuple(Lesion((x1, y1, x2, y2), k) for (x1, y1, x2, y2), k in zip(sides, labels.tolist(), strict=True))


def val_metric(task: Task, images: Sequence[Seen]) -> float:
    """Classification: the area under the ROC curve, meaned over classes. Detection: the mean sensitivity at 1/8 to 8
    false alarms an image (CPM). Segmentation: the Dice coefficient, meaned over classes.

    An image that stands there twice, as when processes share a split unevenly, counts once. nan where the metric isn't
    defined: no image, no lesion, or one class only.
    """
    once = list({image.index: image for image in images}.values())
    if not once:
        return float("nan")
    if task is Task.DETECT:
        return cpm([image.boxes for image in once if image.boxes is not None], [image.lesions for image in once])
    if task is Task.SEGMENT:
        counts = joined([image.pixels for image in once if image.pixels is not None])
        alone = np.ones((1, len(once)))
        return mean_of_known([float(dice(counts, k, alone)[0]) for k in range(counts.true.shape[1])])
    scores = np.stack([image.scores for image in once if image.scores is not None])
    targets = np.stack([image.targets for image in once if image.targets is not None])
    return mean_of_known([float(auroc(scores[:, k], targets[:, k])) for k in range(scores.shape[1])])


def mean_of_known(values: Sequence[float]) -> float:
    """The mean over the classes for which a metric is defined; nan where it is for none."""
    known = np.array(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
