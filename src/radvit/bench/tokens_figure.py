"""Accuracy against speed for each share of merged tokens, as a picture."""

from __future__ import annotations

from matplotlib.figure import Figure

from radvit.bench.tokens import Measured
from radvit.evaluation.figures import COLORS, DASHES, FAINT, INK

APART = 0.006  # between intervals of one share


def curve(measured: Measured) -> Figure:
    """A line a metric, a dot a share, with 95 % intervals; to the right is faster. Speeds are of the last engine."""
    engine = list(measured.rows[0].speed)[-1]
    times = [row.speed[engine].times for row in measured.rows]
    figure = Figure(figsize=(7.4, 3.8), dpi=150, layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(measured.rows[0].metrics):
        values, lows, highs = zip(*(row.metrics[name] for row in measured.rows), strict=True)
        colour = COLORS[i % len(COLORS)]
        beside = [x + APART * (i - (len(measured.rows[0].metrics) - 1) / 2) for x in times]
        axes.vlines(beside, lows, highs, color=colour, linewidth=1.1, alpha=0.6)
        dashes = DASHES[i % len(DASHES)]
        axes.plot(beside, values, color=colour, linestyle=dashes, marker="o", markersize=4, label=name)
    for row, x in zip(measured.rows, times, strict=True):
        axes.axvline(x, color=FAINT, linewidth=0.6, zorder=0)
        words = axes.get_xaxis_transform()
        axes.text(x, 1.01, f"{row.share:g}", transform=words, ha="center", va="bottom", fontsize=8, color=INK)
    axes.set(xlabel=f"times as fast as without merging ({engine})", ylabel="value, 95 % interval")
    axes.set_title("share of the tokens merged after each block", fontsize=9, color=INK, pad=16)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.5, zorder=0)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
