"""Every metric of an experiment for every seed, as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from radvit.evaluation.figures import COLORS, FAINT, INK

SPREAD = 0.5  # of the room between two metrics, that their seeds take


def seeds_figure(results: Mapping[str, Any]) -> Figure:
    """Dots with 95 % intervals, a row a metric and a colour a seed; a grey bar behind them is mean +- sd."""
    names = [name for name, metric in results["metrics"].items() if metric["mean"] is not None]
    seeds = results["seeds"]
    figure = Figure(figsize=(7.2, 1.5 + 0.48 * len(names)), dpi=150, layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        mean, sd = results["metrics"][name]["mean"], results["metrics"][name]["sd"] or 0.0
        axes.barh(place, 2 * sd, left=mean - sd, height=0.8, color=FAINT, alpha=0.7, zorder=1)
        axes.plot([mean, mean], [place - 0.4, place + 0.4], color=INK, linewidth=1.4, zorder=2)
    for i, row in enumerate(seeds):
        shift = SPREAD * ((i + 0.5) / len(seeds) - 0.5)
        colour = COLORS[i % len(COLORS)]
        for place, name in enumerate(names):
            low, high = results["intervals"][name][i]
            if low is not None and high is not None:
                axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.3, zorder=3)
            label = f"seed {row['seed']}" if place == 0 else None
            axes.plot(row[name], place + shift, "o", color=colour, markersize=4.5, label=label, zorder=4)
    axes.use_sticky_edges = False  # else a dot at 1 is cut in half
    axes.margins(x=0.03)
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="value (dot) with 95 % interval; black line: mean; grey: mean ± sd")
    axes.grid(axis="x", color=FAINT, linewidth=0.5, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"{results['name']}, {results['split']} split", fontsize=11, color=INK)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return figure
