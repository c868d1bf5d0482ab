"""Two pictures of a sweep: which settings led where, and which keys mattered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, IntDistribution

from radvit.sweep.ranking import Point, Ranking
from radvit.sweep.space import SEED, Values

INK, FAINT, BEST = "#222222", "#B8B8B8", "#D55E00"
MAP = "viridis"
TICKS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """One upright axis. place: from a value to its height in [0, 1]. ticks: heights and their labels."""

    name: str
    place: Callable[[Any], float]
    ticks: Sequence[tuple[float, str]]


def parallel_figure(ranking: Ranking) -> Figure:
    """Each finished point as a line over its keys, coloured by the metric; the best one stands out."""
    points = [point for point in ranking.points if point.values]
    values = np.array([point.mean for point in points], float)
    scales = [scale(key, axis) for key, axis in ranking.space.axes.items() if key != SEED]
    scales.append(number_scale(ranking.metric, float(values.min()), float(values.max()), log=False))
    width = max(6.4, 1.9 * len(scales) + 1.4)
    figure = Figure(figsize=(width, 4.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    norm = Normalize(values.min(), values.max())
    colours = colormaps[MAP].reversed() if ranking.less_is_better else colormaps[MAP]
    for point, value in reversed(list(zip(points, values, strict=True))):
        line(axes, scales, point, value, colours(norm(value)), best=point is points[0])
    for place, one in enumerate(scales):
        upright(axes, place, one)
    axes.set(xlim=(-0.15, len(scales) - 0.75), ylim=(-0.09, 1.1))
    axes.axis("off")
    word = "less is better" if ranking.less_is_better else "more is better"
    figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=f"{ranking.metric} ({word})", pad=0.02)
    figure.suptitle(f"{ranking.record.study}: {len(points)} points; the best in orange", color=INK, fontsize=11)
    return figure


def line(axes: Axes, scales: Sequence[Scale], point: Point, value: float, colour: Any, best: bool) -> None:
    """One point from axis to axis."""
    heights = [one.place(point.params[one.name]) for one in scales[:-1]] + [scales[-1].place(value)]
    style = {"color": BEST, "linewidth": 2.6, "marker": "o"} if best else {"color": colour, "linewidth": 1.1}
    axes.plot(range(len(scales)), heights, alpha=1.0 if best else 0.75, solid_capstyle="round", **style)


def upright(axes: Axes, place: int, one: Scale) -> None:
    """An axis with its ticks and its name."""
    axes.plot([place, place], [0, 1], color=INK, linewidth=1.0)
    axes.text(place, 1.05, one.name, ha="center", va="bottom", fontsize=9, fontweight="bold", color=INK)
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    for height, label in one.ticks:
        axes.plot([place - 0.02, place + 0.02], [height, height], color=INK, linewidth=1.0)
        axes.text(place + 0.04, height, label, ha="left", va="center", fontsize=8, color=INK, bbox=box, zorder=5)


def scale(key: str, values: Values) -> Scale:
    """The axis of a key: its choices at equal steps, sorted where they are numbers; its range, in logarithms if so."""
    if isinstance(values, CategoricalDistribution):
        names = in_order([str(choice) for choice in values.choices])
        step = 1 / max(1, len(names) - 1)
        heights = {name: i * step if len(names) > 1 else 0.5 for i, name in enumerate(names)}
        return Scale(key, lambda value: heights[str(value)], [(height, name) for name, height in heights.items()])
    whole = isinstance(values, IntDistribution)
    return number_scale(key, float(values.low), float(values.high), values.log, whole)


def number_scale(name: str, low: float, high: float, log: bool, whole: bool = False) -> Scale:
    """An axis of numbers from low to high, with a tick at whole numbers, at powers of ten, or at five places."""
    move = np.log10 if log else float
    start, span = float(move(low)), float(move(high)) - float(move(low))

    def place(value: Any) -> float:
        return (float(move(value)) - start) / span if span else 0.5

    return Scale(name, place, [(place(value), f"{value:.3g}") for value in tick_values(low, high, log, whole)])


def tick_values(low: float, high: float, log: bool, whole: bool) -> list[float]:
    """Where an axis from low to high has its ticks; low and high among them."""
    if low == high:
        return [low]
    between = np.geomspace(low, high, TICKS) if log else np.linspace(low, high, TICKS)
    if whole:
        between = np.unique(np.round(between)) if high - low >= TICKS else np.arange(low, high + 1)
    elif log and high / low >= 100:
        between = 10.0 ** np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
    inner = [float(value) for value in between if low * 1.3 < value < high / 1.3] if log else between[1:-1].tolist()
    return [low, *inner, high]


def in_order(names: Sequence[str]) -> list[str]:
    """Names that are all numbers by their size, others as they came."""
    try:
        return sorted(names, key=float)
    except ValueError:
        return list(names)


def importance_figure(ranking: Ranking) -> Figure:
    """How much each key matters, as bars."""
    names = list(ranking.importances)[::-1]
    shares = [ranking.importances[name] for name in names]
    figure = Figure(figsize=(6.4, 1.2 + 0.42 * len(names)), dpi=150, layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, shares, color="#0072B2", height=0.6)
    axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=4, fontsize=9, color=INK)
    axes.set(xlim=(0, max(shares) * 1.15 or 1.0), xlabel=f"share of the spread of {ranking.metric} explained (fANOVA)")
    axes.set_title(f"{ranking.record.study}: what mattered", fontsize=11, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure
