"""A sheet of the worst errors: lesions that were missed, and false alarms with the highest scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radvit.evaluation.predictions import Predictions
from radvit.metrics.matching import Flat, HitRule, Outcome, Pairs, assign, flatten, hit_pairs, match
from radvit.records import FloatArray

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

TRUE_COLOR, FOUND_COLOR = "#00C8FF", "#FFB000"
PER_ROW = 6
EMPTY_ROW = 0.1  # the height of a row that has a title alone
FRAME = 1.6  # a crop is this many times the box on each side of its centre, and never below LEAST_HALF
LEAST_HALF = 24.0


@dataclass(frozen=True, slots=True)
class View:
    """One image as the sheet shows it.

    pixels: (rows, columns) in [0, 1], at any resolution. found: (N, 4) and true: (M, 4), xyxy in those pixels, in
    the order of the image's predicted boxes and of its lesions. found_mask, true_mask: (rows, columns) bool; their
    outlines are drawn in place of the boxes.
    """

    pixels: FloatArray
    found: FloatArray
    true: FloatArray
    found_mask: Bools | None = None
    true_mask: Bools | None = None


Views = Callable[[int], View]  # index of an image in the predictions -> what to show


@dataclass(frozen=True, slots=True)
class Errors:
    """Worst first. missed: rows (image, lesion of the image); alarms: rows (image, box of the image); (n, 2)."""

    missed: Ints
    alarms: Ints


def worst_errors(predictions: Predictions, threshold: float, hit_rule: HitRule, most: int = PER_ROW) -> Errors:
    """Errors among boxes with score >= threshold.

    Missed lesions: largest first, as they are the hardest to forgive. False alarms: highest score first.
    """
    found, true = flatten(predictions.boxes, predictions.truth)
    pairs = _above(hit_pairs(found, true, hit_rule, predictions.spacing), found, threshold)
    seen = np.zeros(len(true), bool)
    seen[list(assign(pairs).values())] = True
    area = (true.xyxy[:, 2:] - true.xyxy[:, :2]).prod(1)
    missed = np.flatnonzero(~seen)
    missed = missed[np.argsort(-area[missed], kind="stable")][:most]
    false = (match(len(found), pairs) == Outcome.FALSE) & (found.scores >= threshold)
    alarms = np.flatnonzero(false)
    alarms = alarms[np.argsort(-found.scores[alarms], kind="stable")][:most]
    return Errors(_within_image(true, missed), _within_image(found, alarms))


def contact_sheet(predictions: Predictions, threshold: float, hit_rule: HitRule, views: Views) -> Figure:
    """Two rows of crops: the largest missed lesions, the most confident false alarms.

    Predicted boxes below the threshold are not drawn.
    """
    errors = worst_errors(predictions, threshold, hit_rule)
    heights = [1.0 if len(found) else EMPTY_ROW for found in (errors.missed, errors.alarms)]
    figure = Figure(figsize=(2.1 * PER_ROW, 0.6 + 2.4 * sum(heights)), dpi=150, layout="constrained", facecolor="white")
    grid = figure.subplots(2, PER_ROW, height_ratios=heights)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, (image, lesion) in zip(grid[0], errors.missed.tolist(), strict=False):
        view, shown = views(image), predictions.boxes[image].scores >= threshold
        _draw_crop(axes, view, view.true[lesion], shown, _lesion_words(predictions, image, lesion))
    for axes, (image, box) in zip(grid[1], errors.alarms.tolist(), strict=False):
        view, scores = views(image), predictions.boxes[image].scores
        _draw_crop(axes, view, view.found[box], scores >= threshold, f"score {scores[box]:.2f}")
    _row_words(grid[0, 0], "Missed lesions, largest first", len(errors.missed))
    _row_words(grid[1, 0], "False alarms, most confident first", len(errors.alarms))
    figure.suptitle(
        f"Worst errors at box score ≥ {threshold:.3f}     true: blue, solid     predicted: orange, dashed",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    return figure


def _draw_crop(axes: Axes, view: View, center_box: FloatArray, shown: Bools, words: str) -> None:
    """One crop around a box, windowed to its own grey values. shown: which of the predicted boxes are drawn."""
    x, y = (center_box[0] + center_box[2]) / 2, (center_box[1] + center_box[3]) / 2
    half = max(LEAST_HALF, FRAME * float(max(center_box[2] - center_box[0], center_box[3] - center_box[1])))
    rows, columns = view.pixels.shape
    part = view.pixels[max(0, int(y - half)) : int(y + half) + 1, max(0, int(x - half)) : int(x + half) + 1]
    low, high = np.quantile(part, [0.01, 0.99]) if part.size else (0.0, 1.0)
    extent = (0, columns, rows, 0)  # pixel (0, 0) covers [0, 1] x [0, 1]
    axes.imshow(view.pixels, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), extent=extent, interpolation="bicubic")
    found, true = (view.found[shown], view.found_mask), (view.true, view.true_mask)
    for (boxes, mask), color, dash in ((found, FOUND_COLOR, (0, (3, 2))), (true, TRUE_COLOR, "-")):
        if mask is None:
            _draw_boxes(axes, boxes, color, dash)
        elif mask.any():
            middles = (np.arange(n) + 0.5 for n in (columns, rows))
            axes.contour(*middles, mask, levels=[0.5], colors=color, linestyles=[dash], linewidths=1.3)
    axes.set_xlim(x - half, x + half)
    axes.set_ylim(y + half, y - half)
    axes.set_axis_on()
    axes.set(facecolor="black", xticks=[], yticks=[])
    axes.text(
        0.03, 0.03, words, transform=axes.transAxes, color="white", fontsize=8, bbox={"color": "#000000A0", "pad": 1.5}
    )


def _draw_boxes(axes: Axes, boxes: FloatArray, color: str, dash: str | tuple[int, tuple[int, int]]) -> None:
    for x1, y1, x2, y2 in boxes.tolist():
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linestyle=dash, linewidth=1.3)
        )


def _row_words(axes: Axes, words: str, n: int) -> None:
    axes.set_title(words if n else f"{words}: none", loc="left", fontsize=10, fontweight="bold")


def _lesion_words(predictions: Predictions, image: int, lesion: int) -> str:
    true = predictions.truth[image][lesion]
    if true.size_mm is not None:
        return f"{true.size_mm:.0f} mm"
    return f"{true.box_px[2] - true.box_px[0]:.0f} x {true.box_px[3] - true.box_px[1]:.0f} px"


def _above(pairs: Pairs, found: Flat, threshold: float) -> Pairs:
    keep = found.scores[pairs.found] >= threshold
    return Pairs(pairs.found[keep], pairs.true[keep], pairs.affinity[keep])


def _within_image(flat: Flat, index: Ints) -> Ints:
    """Rows (image, position within the image) of rows of a flat table."""
    first = np.searchsorted(flat.image, flat.image[index], side="left")
    return np.stack([flat.image[index], index - first], axis=1)
