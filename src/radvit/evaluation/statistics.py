"""What is measured of predictions, as functions of how often each image counts: what a bootstrap needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from radvit.errors import ConfigError
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predictions import Predictions
from radvit.metrics import classification as image_level
from radvit.metrics.bootstrap import Statistics, first_appearance
from radvit.metrics.classification import share
from radvit.metrics.coco import coco_classes, coco_map
from radvit.metrics.detection import class_tallies, map_of
from radvit.metrics.froc import FP_RATES, at_threshold, tally
from radvit.metrics.hausdorff import mean_hd95
from radvit.metrics.jafroc import ratings
from radvit.metrics.matching import HitRule
from radvit.metrics.segmentation import Overlap, dice, pooled_dice

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]  # image weights (B, N) -> (B,)


def statistics_of(predictions: Predictions, operating: OperatingPoint | None, hit_rule: HitRule) -> Statistics:
    """Every metric of some predictions under many weightings of the images: (B, N) to name -> (B,).

    Boxes are matched once, here. Raises ConfigError where `operating` has not one threshold a label.
    """
    if operating is not None and len(operating.image_thresholds) != len(predictions.labels):
        raise ConfigError(
            f"{len(operating.image_thresholds)} image thresholds; expected one for each of {predictions.labels}"
        )
    statistics = _image_statistics(predictions, operating)
    several = _several(predictions, hit_rule) if predictions.localises else None
    if predictions.localises and operating is not None and operating.box_threshold is not None:
        statistics |= _box_statistics(predictions, operating.box_threshold, hit_rule)
    if predictions.overlap is not None:
        statistics |= _mask_statistics(predictions.overlap, predictions.labels)
    if predictions.hd95 is not None:
        statistics |= _outline_statistics(predictions.hd95, predictions.labels)

    def measure(weights: Array) -> dict[str, Array]:
        values = {name: statistic(weights) for name, statistic in statistics.items()}
        return values if several is None else values | several(weights)

    return measure


def study_scores(predictions: Predictions) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Highest score and target of each study's images: (S, K), (S, K), and the index (S,) of its first image."""
    index = first_appearance(predictions.studies)
    n_studies = int(index.max(initial=-1)) + 1
    scores = np.zeros((n_studies, len(predictions.labels)))
    targets = np.zeros_like(scores)
    np.maximum.at(scores, index, predictions.scores)
    np.maximum.at(targets, index, predictions.targets)
    return scores, targets, np.unique(index, return_index=True)[1]


def stated(predictions: Predictions) -> tuple[Array, Array]:
    """What the scores claim and what held, for calibration; two (N, C).

    A column a label; for labels that exclude each other, one column: the likeliest label's score, and whether it was
    the right one (Guo et al. 2017).
    """
    scores, targets = predictions.scores.astype(np.float64), predictions.targets.astype(np.float64)
    if not predictions.exclusive:
        return scores, targets
    right = scores.argmax(1) == targets.argmax(1)
    return scores.max(1)[:, None], right.astype(np.float64)[:, None]


def macro(per_label: list[Array]) -> Array:
    """Mean over the labels for which a metric is defined; nan where it is for none. per_label: K of (B,)."""
    stacked = np.stack(per_label)
    return image_level.ratio(np.nansum(stacked, axis=0), np.isfinite(stacked).sum(0))


def _image_statistics(predictions: Predictions, operating: OperatingPoint | None) -> dict[str, Statistic]:
    """Ranking and calibration; for K > 1 labels the mean over labels, one against the rest."""
    s, t = predictions.scores.astype(np.float64), predictions.targets.astype(np.float64)
    study_s, study_t, study_first = study_scores(predictions)
    labels = range(len(predictions.labels))
    claimed, held = stated(predictions)
    statistics: dict[str, Statistic] = {
        "auroc": lambda w: macro([image_level.auroc(s[:, k], t[:, k], w) for k in labels]),
        "average_precision": lambda w: macro([image_level.average_precision(s[:, k], t[:, k], w) for k in labels]),
        "brier": lambda w: macro([image_level.brier(s[:, k], t[:, k], w) for k in labels]),
        "ece": lambda w: macro([image_level.ece(claimed[:, k], held[:, k], w) for k in range(claimed.shape[1])]),
        "study_auroc": lambda w: macro(
            [image_level.auroc(study_s[:, k], study_t[:, k], w[:, study_first]) for k in labels]
        ),
    }
    called = _called(predictions, operating)
    return statistics if called is None else statistics | _decision_statistics(called, t > 0, predictions.exclusive)


def _called(predictions: Predictions, operating: OperatingPoint | None) -> npt.NDArray[np.bool_] | None:
    """Which labels are called on each image, (N, K): the likeliest one, or those that reach their threshold."""
    if predictions.exclusive:
        return np.asarray(predictions.scores.argmax(1)[:, None] == np.arange(len(predictions.labels)))
    if operating is None:
        return None
    return np.asarray(predictions.scores.astype(np.float64) >= np.array(operating.image_thresholds))


def _decision_statistics(
    called: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_], exclusive: bool
) -> dict[str, Statistic]:
    right = called == present
    ones = np.ones(len(called))
    labels = range(called.shape[1])
    rightly = right.all(1) if exclusive else right.mean(1)  # a whole image at once, or label by label
    return {
        "accuracy": lambda w: share(rightly, ones, w),
        "sensitivity": lambda w: macro([share(right[:, k] & present[:, k], present[:, k], w) for k in labels]),
        "specificity": lambda w: macro([share(right[:, k] & ~present[:, k], ~present[:, k], w) for k in labels]),
        "ppv": lambda w: macro([image_level.ppv(called[:, k], present[:, k], w) for k in labels]),
        "npv": lambda w: macro([image_level.npv(called[:, k], present[:, k], w) for k in labels]),
    }


def _several(predictions: Predictions, hit_rule: HitRule) -> Callable[[Array], dict[str, Array]]:
    """FROC, JAFROC and mAP: boxes and lesions are matched once here, and weighted in what is returned."""
    froc = tally(predictions.boxes, predictions.truth, hit_rule, predictions.spacing)
    classes = class_tallies(predictions.boxes, predictions.truth)
    coco = coco_classes(predictions.boxes, predictions.truth)
    rated = ratings(predictions.boxes, predictions.truth, hit_rule, predictions.spacing)

    def measure(weights: Array) -> dict[str, Array]:
        reached = froc.sensitivity_at(FP_RATES, weights)  # (B, 7)
        named = {f"froc/sensitivity@{rate:g}": reached[:, i] for i, rate in enumerate(FP_RATES)}
        return named | {
            "froc/cpm": reached.mean(1),
            "jafroc": rated.merit(weights),
            "map": map_of(classes, weights, len(predictions)),
            "map_coco": coco_map(coco, weights, len(predictions)),
        }

    return measure


def _box_statistics(predictions: Predictions, threshold: float, hit_rule: HitRule) -> dict[str, Statistic]:
    """Lesions found and false alarms an image at the frozen box threshold."""
    hits, alarms = at_threshold(predictions.boxes, predictions.truth, threshold, hit_rule, predictions.spacing)
    lesions = np.array([len(true) for true in predictions.truth], np.float64)
    ones = np.ones(len(predictions))
    return {
        "lesion_sensitivity": lambda w: share(hits, lesions, w),
        "fp_per_image": lambda w: share(alarms, ones, w),
    }


def _mask_statistics(counts: Overlap, labels: tuple[str, ...]) -> dict[str, Statistic]:
    """Dice over the images that show a label, meaned over the labels, and each label's own where there are several."""
    every = range(len(labels))
    statistics: dict[str, Statistic] = {
        "dice": lambda w: macro([dice(counts, k, w) for k in every]),
        "dice_pooled": lambda w: macro([pooled_dice(counts, k, w) for k in every]),
    }
    if len(labels) > 1:
        statistics |= {f"dice/{label}": lambda w, k=k: dice(counts, k, w) for k, label in enumerate(labels)}  # type: ignore[misc]
    return statistics


def _outline_statistics(distances: Array, labels: tuple[str, ...]) -> dict[str, Statistic]:
    """HD95 over the images where a label is both shown and found, meaned over the labels, and each label's own."""
    every = range(len(labels))
    statistics: dict[str, Statistic] = {"hd95": lambda w: macro([mean_hd95(distances, k, w) for k in every])}
    if len(labels) > 1:
        own = {f"hd95/{label}": lambda w, k=k: mean_hd95(distances, k, w) for k, label in enumerate(labels)}
        statistics |= own
    return statistics
