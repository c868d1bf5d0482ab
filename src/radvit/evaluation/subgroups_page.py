"""Subgroups as a table, a section of REPORT.md and a figure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.figures import COLORS, FAINT, INK, interval_words
from radvit.evaluation.subgroups import FEWEST, HEADLINES, Gap, Subgroups
from radvit.evaluation.tables import markdown, title
from radvit.records import Task


def group_rows(found: Subgroups, task: Task) -> list[tuple[str, ...]]:
    """Header and a row a group: how many patients and images, then the headlines of its task."""
    names = HEADLINES[task]
    rows = [("group", "patients", "images", *(title(name) for name in names))]
    for group in found.groups:
        counts = next(iter(group.metrics.values()))
        cells = (interval_words(group.metrics.get(name)) for name in names)
        rows.append((f"{group.column}: {group.value}", str(counts.n_patients), str(counts.n_images), *cells))
    return rows


def gap_words(gap: Gap) -> str:
    """A gap in a sentence, without its full stop."""
    words = interval_words(Metric(gap.value, gap.low, gap.high, 0, 0, 0))
    return f"worst by {gap.column}: {gap.worst}, {title(gap.metric)} {words} below that of all images"


def section(found: Subgroups, task: Task) -> str:
    """What REPORT.md says of groups; empty where there is no column with two of them."""
    if not found.groups:
        return ""
    gaps = "\n".join(f"- {gap_words(gap)[0].upper()}{gap_words(gap)[1:]}." for gap in found.gaps)
    note = (
        f"Groups of fewer than {FEWEST} patients are left out"
        + (f" ({', '.join(f'{c}: {v}' for c, v, _ in found.small)})" if found.small else "")
        + ". Which group is worst was read off the same images, so that such gaps are larger here than elsewhere."
    )
    return "\n\n".join(("## Subgroups", markdown(group_rows(found, task)), gaps, note))


def forest_figure(found: Subgroups, task: Task, whole: Metric) -> Figure:
    """The headline of every group with its interval, beside that of all images (a line in a band)."""
    name = HEADLINES[task][0]
    groups = found.groups[::-1]
    figure = Figure(figsize=(7.2, 1.4 + 0.32 * len(groups)), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axvspan(whole.low, whole.high, color=FAINT, alpha=0.6, linewidth=0, zorder=0)
    axes.axvline(whole.value, color=INK, linewidth=1.2, zorder=1)
    columns = list(dict.fromkeys(group.column for group in found.groups))
    for place, group in enumerate(groups):
        metric, colour = group.metrics[name], COLORS[columns.index(group.column) % len(COLORS)]
        if np.isfinite(metric.value):
            axes.plot([metric.low, metric.high], [place, place], color=colour, linewidth=1.6, zorder=2)
            axes.plot(metric.value, place, "o", color=colour, markersize=5, zorder=3)
    labels = [f"{g.column}: {g.value}  ({g.metrics[name].n_patients})" for g in groups]
    axes.set_yticks(range(len(groups)), labels)
    axes.set(xlabel=f"{title(name)}, 95 % interval; line and band: all images", ylim=(-0.6, len(groups) - 0.4))
    axes.grid(axis="x", color=FAINT, linewidth=0.5, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("Subgroups (patients)", fontsize=11, color=INK)
    return figure
