"""Two models in one picture: their curves over each other, and how far apart their metrics lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from radvit.evaluation.compare import Difference, Verdict
from radvit.evaluation.figures import COLORS, FAINT, Result, dress, froc_figure, ranking_figure
from radvit.evaluation.reading import Saved
from radvit.evaluation.tables import title

INKS = {Verdict.A: COLORS[0], Verdict.B: COLORS[1]}  # those of the two models' curves
OTHER = "#777777"
WIDEST = 1.0  # a metric whose difference can be larger is no share, and stands in the table alone


def comparison_figures(
    found: Mapping[str, Difference], a: Saved, b: Saved, rng: np.random.Generator, n_boot: int
) -> dict[str, Figure]:
    """The pictures of a comparison, by the name of their file; those that the task has."""
    results = [Result(side, saved.predictions, saved.metrics) for side, saved in (("A", a), ("B", b))]
    made: dict[str, Figure] = {}
    if a.predictions.task.localises:
        made["froc"] = froc_figure(results, a.hit_rule, rng, n_boot, bands=2)
    if len(a.predictions.labels) == 1:
        made["ranking"] = ranking_figure(results)
    if _drawn(found):
        made["differences"] = differences_figure(found)
    return made


def differences_figure(found: Mapping[str, Difference]) -> Figure:
    """Each metric's difference, B - A, with its 95 % interval; in colour where the test sees one."""
    shown = list(reversed(_drawn(found).items()))
    figure = Figure(figsize=(8.4, 1.5 + 0.3 * len(shown)), dpi=150, layout="constrained")
    axes = figure.subplots()
    for row, (_, one) in enumerate(shown):
        ink, tested = INKS.get(one.verdict, OTHER), one.tested
        axes.plot([tested.low, tested.high], [row, row], color=ink, linewidth=2)
        axes.plot(tested.difference, row, "o", color=ink, markersize=5)
    axes.axvline(0, color=FAINT, zorder=0)
    dress(axes, "Difference of B from A", "blue: A is better, orange: B is better, grey: no difference shown")
    axes.set_yticks(range(len(shown)), [title(name) for name, _ in shown], fontsize=9)
    axes.set(ylim=(-0.7, len(shown) - 0.3), xlabel="B - A with its 95 % interval")
    return figure


def save(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write each figure as folder/NAME.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")


def _drawn(found: Mapping[str, Difference]) -> dict[str, Difference]:
    """The metrics whose interval is known and on the scale of shares."""
    ends = ((name, one, (one.tested.low, one.tested.high)) for name, one in found.items())
    return {name: one for name, one, pair in ends if np.isfinite(pair).all() and max(map(abs, pair)) <= WIDEST}
