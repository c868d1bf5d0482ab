"""Curves of an evaluation as matplotlib figures; nothing here touches pyplot's global state or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvit.evaluation.evaluate import Metric, stated
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predictions import Predictions
from radvit.metrics.bootstrap import collect
from radvit.metrics.classification import ECE_BINS, bin_of
from radvit.metrics.froc import FP_RATES, tally
from radvit.metrics.matching import HitRule

Array = npt.NDArray[np.float64]

# Okabe and Ito 2008: told apart with any colour vision; dashes tell them apart in print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
INK, FAINT = "#222222", "#D9D9D9"
MOST_LABELS = len(COLORS)
_READABLE: Any = {"framealpha": 0.85, "edgecolor": "none"}  # of a legend, over curves that run through its corner


@dataclass(frozen=True, slots=True)
class Result:
    """One model's predictions and the metrics measured on them, under the name the legend shows."""

    name: str
    predictions: Predictions
    metrics: Mapping[str, Metric]


def froc_figure(
    results: Sequence[Result], hit_rule: HitRule, rng: np.random.Generator, n_boot: int = 1000, bands: int = 1
) -> Figure:
    """FROC curves of all results; those of the first `bands` with their pointwise 95 % intervals over patients."""
    figure, axes = _canvas("Lesions found against false alarms", _cohort(results[0].predictions))
    rates = np.geomspace(FP_RATES[0] / 2, FP_RATES[-1] * 2, 240)
    for i, result in enumerate(results):
        table = tally(result.predictions.boxes, result.predictions.truth, hit_rule, result.predictions.spacing)
        label = f"{result.name}   CPM {interval_words(result.metrics.get('froc/cpm'))}"
        axes.plot(rates, table.sensitivity_at(rates.tolist()), color=COLORS[i], linestyle=DASHES[i], label=label)
        seven = table.sensitivity_at(FP_RATES)
        axes.plot(FP_RATES, seven, "o", color=COLORS[i], markersize=4)
        if i < bands:
            drawn = collect(
                lambda w, t=table: {"band": t.sensitivity_at(rates.tolist(), w)},  # type: ignore[misc]
                result.predictions.patients,
                rng,
                n_boot,
            )["band"]
            low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0) if np.isfinite(drawn).any() else (rates, rates)
            axes.fill_between(
                rates, low, high, color=COLORS[i], alpha=0.15, linewidth=0, label=f"95 % interval of {result.name}"
            )
    _rate_axis(axes, rates)
    axes.set(xlabel="False alarms per image", ylabel="Sensitivity (share of lesions found)", ylim=(0, 1.02))
    axes.legend(loc="lower right", **_READABLE)
    return figure


def ranking_figure(results: Sequence[Result]) -> Figure:
    """ROC and precision-recall curves: of each result for one label, of each label of the first result for several."""
    figure = Figure(figsize=(10.5, 4.9), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (name, scores, targets) in enumerate(_ranked(results)):
        fpr, recall, precision = roc_points(scores, targets)
        left.plot(fpr, recall, color=COLORS[i], linestyle=DASHES[i], label=name["auroc"])
        right.step(
            recall, precision, where="pre", color=COLORS[i], linestyle=DASHES[i], label=name["average_precision"]
        )
    left.plot([0, 1], [0, 1], color=FAINT, zorder=0)
    prevalence = float(results[0].predictions.targets.mean()) if len(results[0].predictions) else 0.0
    right.axhline(prevalence, color=FAINT, zorder=0)
    dress(left, "ROC", _cohort(results[0].predictions))
    dress(right, "Precision and recall", f"grey line: prevalence {prevalence:.2f}")
    left.set(xlabel="1 - specificity", ylabel="Sensitivity")
    right.set(xlabel="Recall", ylabel="Precision")
    for axes, corner in ((left, "lower right"), (right, "lower left")):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02), aspect="equal")
        axes.legend(loc=corner, fontsize=9, **_READABLE)
    return figure


def reliability_figure(result: Result, bins: int = ECE_BINS) -> Figure:
    """Share of positives against mean score in each bin that holds a score, and how many scores each bin holds."""
    figure = Figure(figsize=(5.6, 6.2), dpi=150, layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    scores, targets = (column.ravel() for column in stated(result.predictions))
    index = bin_of(scores, bins)
    count = np.bincount(index, minlength=bins)
    held = count > 0
    mean = np.bincount(index, scores, bins)[held] / count[held]
    seen = np.bincount(index, targets, bins)[held] / count[held]
    top.plot([0, 1], [0, 1], color=FAINT, zorder=0)
    top.plot(mean, seen, color=COLORS[0], alpha=0.5)
    top.scatter(mean, seen, s=20 + 180 * count[held] / max(1, count.max()), color=COLORS[0], zorder=3, clip_on=False)
    dress(top, f"Calibration: ECE {interval_words(result.metrics.get('ece'))}", _cohort(result.predictions))
    outcome = "Share in which the likeliest label is right" if result.predictions.exclusive else "Share of positives"
    top.set(ylabel=outcome, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    bottom.bar((np.arange(bins) + 0.5) / bins, count, width=0.9 / bins, color=COLORS[0], alpha=0.6)
    dress(bottom, "", "")
    bottom.set(xlabel="Mean calibrated score in the bin", ylabel="Scores")
    return figure


def confusion_figure(result: Result, operating: OperatingPoint) -> Figure:
    """Truth against call at the frozen threshold: K x K where labels exclude each other, else 2 x 2 for each label."""
    predictions = result.predictions
    tables = confusion_tables(predictions, operating)[:MOST_LABELS]
    figure = Figure(figsize=(max(4.6, 3.6 * len(tables)), 4.6), dpi=150, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(tables)))
    for axes, (title, names, table) in zip(panels, tables, strict=True):
        _draw_table(axes, names, table)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set(xlabel="called", ylabel="true")
    title = "Likeliest label against truth" if predictions.exclusive else "Calls at the frozen threshold"
    figure.suptitle(f"{title}\n", x=0.02, ha="left", fontsize=12, fontweight="bold", color=INK)
    figure.text(0.02, 0.905, _cohort(predictions), fontsize=9, color="#555555")
    return figure


def confusion_tables(
    predictions: Predictions, operating: OperatingPoint
) -> list[tuple[str, Sequence[str], npt.NDArray[np.int64]]]:
    """(title, names of the classes, counts (true, called)) of each table that `confusion_figure` draws."""
    if predictions.exclusive:
        k = len(predictions.labels)
        cell = predictions.targets.argmax(1) * k + predictions.scores.argmax(1)
        return [("", predictions.labels, np.bincount(cell, minlength=k * k).reshape(k, k))]
    tables: list[tuple[str, Sequence[str], npt.NDArray[np.int64]]] = []
    for k, (label, threshold) in enumerate(zip(predictions.labels, operating.image_thresholds, strict=True)):
        called = predictions.scores[:, k].astype(np.float64) >= threshold
        cell = (predictions.targets[:, k] > 0) * 2 + called
        counts = np.bincount(cell.astype(np.int64), minlength=4).reshape(2, 2)
        tables.append((f"score ≥ {threshold:.3f}", (f"no {label}", label), counts))
    return tables


def roc_points(scores: Array, targets: Array) -> tuple[Array, Array, Array]:
    """(1 - specificity, sensitivity, precision) at each distinct score, from "call nothing" to "call everything"."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True][: len(scores)])
    hits = np.r_[0, np.cumsum(targets[order])[last]]
    alarms = np.r_[0, np.cumsum(1 - targets[order])[last]]
    precision = hits[1:] / (hits[1:] + alarms[1:])
    precision = np.r_[precision[:1] if len(precision) else 1.0, precision]  # nothing called: as the first call
    return alarms / max(1, alarms[-1]), hits / max(1, hits[-1]), precision


def interval_words(metric: Metric | None, digits: int = 3) -> str:
    """A metric as `0.850 [0.801, 0.893]`, or `n/a` where it is missing or undefined."""
    if metric is None or not np.isfinite(metric.value):
        return "n/a"
    if not np.isfinite(metric.low):
        return f"{metric.value:.{digits}f}"
    return f"{metric.value:.{digits}f} [{metric.low:.{digits}f}, {metric.high:.{digits}f}]"


def _ranked(results: Sequence[Result]) -> list[tuple[dict[str, str], Array, Array]]:
    """Legend words, scores and targets of each curve of `ranking_figure`."""
    names = {"auroc": "AUROC", "average_precision": "AP"}
    first = results[0].predictions
    if len(first.labels) == 1:
        return [
            (
                {key: f"{r.name}   {short} {interval_words(r.metrics.get(key))}" for key, short in names.items()},
                r.predictions.scores[:, 0].astype(np.float64),
                r.predictions.targets[:, 0].astype(np.float64),
            )
            for r in results
        ]
    columns = list(enumerate(first.labels))[:MOST_LABELS]
    return [
        (dict.fromkeys(names, label), first.scores[:, k].astype(np.float64), first.targets[:, k].astype(np.float64))
        for k, label in columns
    ]


def _canvas(title: str, subtitle: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 5.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    dress(axes, title, subtitle)
    return figure, axes


def dress(axes: Axes, title: str, subtitle: str) -> None:
    """One look for all: a left-hand title, what was measured under it, a light grid, two spines."""
    if title:
        axes.set_title(f"{title}\n", loc="left", fontsize=12, fontweight="bold", color=INK)
        axes.annotate(
            subtitle, (0, 1), (0, 6), "axes fraction", "offset points", fontsize=9, color="#555555", va="bottom"
        )
    axes.grid(color=FAINT, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(colors=INK, labelsize=9)


def _rate_axis(axes: Axes, rates: Array) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(rates[0], rates[-1])
    axes.set_xticks(FP_RATES, ["1/8", "1/4", "1/2", "1", "2", "4", "8"])


def _draw_table(axes: Axes, names: Sequence[str], table: npt.NDArray[np.int64]) -> None:
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15)
    for (i, j), number in np.ndenumerate(table):
        ink = "white" if share[i, j] > 0.6 else INK
        axes.text(j, i, f"{number}\n{share[i, j]:.0%}", ha="center", va="center", color=ink, fontsize=11)
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.set_yticks(range(len(names)), names, fontsize=9, rotation=90, va="center")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _cohort(predictions: Predictions) -> str:
    words = f"{len(set(predictions.patients))} patients, {len(predictions)} images"
    return f"{words}, {predictions.n_lesions} lesions" if predictions.n_lesions else words
