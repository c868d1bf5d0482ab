"""Strata of lesions as a section of REPORT.md and a figure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.figures import COLORS, FAINT, INK, interval_words
from radvit.evaluation.strata import Strata
from radvit.evaluation.tables import markdown


def section(found: Strata) -> str:
    """What REPORT.md says of lesions by size, contrast and place; empty where nothing is known of them."""
    if not found.rows:
        return ""
    rows: list[tuple[str, ...]] = [("lesions by", "", "lesions", "patients", "found at the operating point")]
    for row in found.rows:
        words = interval_words(Metric(row.found, row.low, row.high, row.n_patients, 0, row.n_lesions))
        rows.append((row.by, row.value, str(row.n_lesions), str(row.n_patients), words))
    return "\n\n".join(("## Which lesions are found", markdown(rows)))


def size_figure(found: Strata, threshold: float) -> Figure:
    """Score of every lesion of known size against that size; those below the line are missed."""
    known = np.isfinite(found.sizes)
    sizes, scores = found.sizes[known], found.scores[known]
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    for hit, colour, marker in ((True, COLORS[0], "o"), (False, COLORS[1], "x")):
        mine = (scores >= threshold) == hit
        label = f"{'found' if hit else 'missed'} ({int(mine.sum())})"
        axes.plot(sizes[mine], scores[mine], marker, color=colour, markersize=4.5, alpha=0.75, label=label, zorder=3)
    axes.axhline(threshold, color=INK, linewidth=1, linestyle="--", label=f"operating point {threshold:.3g}", zorder=2)
    axes.set(xlabel="longest diameter, mm", ylabel="score of the box on it (0: none)", ylim=(-0.03, 1.03))
    axes.grid(color=FAINT, linewidth=0.5, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    axes.set_title("Lesions by size", fontsize=11, color=INK)
    return figure
