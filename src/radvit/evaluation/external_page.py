"""One model on several data sets as rows, as EXTERNAL.md, external.html and external.json, and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvit.evaluation.compare import lower_is_better
from radvit.evaluation.evaluate import Metric
from radvit.evaluation.external import Apart, Measured, main_metrics
from radvit.evaluation.figures import COLORS, FAINT, INK, interval_words
from radvit.evaluation.report_html import html_page
from radvit.evaluation.tables import markdown, title
from radvit.evaluation.writing import save_figure, write_json
from radvit.origin import git_commit, now
from radvit.plural import counted

Rows = list[tuple[str, ...]]
FIGURE = "external"


@dataclass(frozen=True, slots=True)
class Terms:
    """How the table was made. home: the model's own test split, None where it could not be measured; failed: why."""

    command: str
    seed: int
    n_boot: int
    home: Measured | None
    failed: Mapping[str, str]


def rows(sets: Sequence[Measured]) -> Rows:
    """Header and a row a data set: how much it holds, and each main metric with its interval."""
    task = sets[0].saved.predictions.task
    names = main_metrics(task)
    counts = ("patients", "images", *(("lesions",) if task.localises else ()))
    found: Rows = [("data set", *counts, *(title(name) for name in names))]
    for one in sets:
        p = one.saved.predictions
        held = [len(set(p.patients)), len(p), *([p.n_lesions] if task.localises else [])]
        found.append((one.name, *(f"{n:,}" for n in held), *(interval_words(one.metrics.get(name)) for name in names)))
    return found


def apart_rows(sets: Sequence[Measured]) -> Rows:
    """Header and a row a data set: how far each main metric lies from the internal test split."""
    names = main_metrics(sets[0].saved.predictions.task)
    header = ("data set", *(title(name) for name in names))
    return [header, *((one.name, *(apart_words(name, one.apart.get(name)) for name in names)) for one in sets)]


def mix_rows(sets: Sequence[Measured]) -> Rows:
    """Header and a row a data set: prevalence of each label, lesions an image, their size, images a patient."""
    predictions = sets[0].saved.predictions
    lesions = ("lesions an image", "their longest side, mm: median (quartiles)") if predictions.task.localises else ()
    header = ("data set", *(f"images with {label}" for label in predictions.labels), *lesions, "images a patient")
    return [header, *(_mix_row(one, bool(lesions)) for one in sets)]


def apart_words(name: str, one: Apart | None) -> str:
    """A metric's difference as `-0.050 [-0.081, -0.019] worse`, or `n/a`; no word where the interval holds 0."""
    if one is None or not np.isfinite(one.value):
        return "n/a"
    if not np.isfinite(one.low):
        return f"{one.value:+.3f}"
    word = ""
    if one.low > 0 or one.high < 0:
        word = " better" if (one.value > 0) is not lower_is_better(name) else " worse"
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]{word}"


def write_external(folder: Path, sets: Sequence[Measured], terms: Terms) -> None:
    """Write external.json, the figure, EXTERNAL.md and external.html."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    first = sets[0].saved
    document = {
        "internal": None if terms.home is None else terms.home.document(),
        "sets": [one.document() for one in sets],
        "failed": dict(terms.failed),
        "hit_rule": first.hit_rule.to_dict(),
        "bootstrap": {"resamples": terms.n_boot, "seed": terms.seed, "unit": "patient", "level": 0.95},
        "model": {key: first.origin.get(key) for key in ("model", "precision", "weights", "seed")},
        "created": now(),
        "git_commit": git_commit(),
    }
    write_json(folder / "external.json", document)
    save_figure(folder, FIGURE, forest_figure(sets, terms.home))
    text = page(sets, terms)
    (folder / "EXTERNAL.md").write_text(text, encoding="utf-8")
    (folder / "external.html").write_text(html_page(text, folder), encoding="utf-8")


def page(sets: Sequence[Measured], terms: Terms) -> str:
    """EXTERNAL.md as Markdown, ending in a newline."""
    home = [] if terms.home is None else [terms.home]
    first = sets[0].saved
    told = "The threshold and the calibration are the model's own, fixed on its validation images. "
    hit = f"A lesion is found when {first.hit_rule.words()}. " if first.predictions.task.localises else ""
    parts = [
        f"# {first.origin.get('model', 'The model')} on {counted(len(sets), 'external data set')}",
        *(f"**{one.name}: seen in training: {one.saved.seen}.**" for one in sets if one.saved.seen),
        markdown(rows([*home, *sets])),
        f"Brackets: 95 % interval from a bootstrap that resamples patients; n/a: not defined. {told}{hit}".strip(),
        f"![Main metrics of each data set](figures/{FIGURE}.png)\n\n*Main metrics of each data set*",
        *_differences(sets, terms),
        "## What the data sets are made of",
        markdown(mix_rows([*home, *sets])),
        "A difference can come of other patients and machines as well as of a model that generalises badly: PPV, "
        "accuracy and false alarms an image move with prevalence, lesions found with their size.",
        *(["## What could not be measured", _failures(terms.failed)] if terms.failed else []),
        "Each set's own folder beside this page holds its report, tables and figures.",
        f"```\n{terms.command}\n```" if terms.command else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def forest_figure(sets: Sequence[Measured], home: Measured | None) -> Figure:
    """Each main metric in a panel: a row a data set with its interval, over that of the internal split (line, band)."""
    names = [name for name in main_metrics(sets[0].saved.predictions.task) if name in sets[0].metrics]
    shown = [*([] if home is None else [home]), *sets][::-1]
    figure = Figure(figsize=(2.2 + 2.5 * len(names), 1.5 + 0.42 * len(shown)), dpi=150, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for axes, name in zip(panels, names, strict=True):
        if home is not None and name in home.metrics:
            _band(axes, home.metrics[name])
        for place, one in enumerate(shown):
            metric = one.metrics.get(name)
            if metric is not None and np.isfinite(metric.value):
                colour = INK if one is home else COLORS[0]
                axes.plot([metric.low, metric.high], [place, place], color=colour, linewidth=1.6, zorder=2)
                axes.plot(metric.value, place, "D" if one is home else "o", color=colour, markersize=5, zorder=3)
        axes.set_title(title(name).replace(" (", "\n(").replace(" at the", "\nat the"), fontsize=9, color=INK)
        axes.grid(axis="x", color=FAINT, linewidth=0.5, zorder=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8)
        axes.set_ylim(-0.6, len(shown) - 0.4)
    labels = [f"{one.name}  ({len(set(one.saved.predictions.patients)):,})" for one in shown]
    panels[0].set_yticks(range(len(shown)), labels)
    band = "" if home is None else "; line and band: the internal test split"
    figure.supxlabel(f"Data set (patients), 95 % interval{band}", fontsize=9, color=INK)
    return figure


def _band(axes: Axes, metric: Metric) -> None:
    if np.isfinite(metric.low):
        axes.axvspan(metric.low, metric.high, color=FAINT, alpha=0.6, linewidth=0, zorder=0)
    if np.isfinite(metric.value):
        axes.axvline(metric.value, color=INK, linewidth=1.0, zorder=1)


def _differences(sets: Sequence[Measured], terms: Terms) -> list[str]:
    if terms.home is None:
        return ["No internal test split could be measured, so that there are no differences from it."]
    how = (
        f"The set less the internal test split; 95 % interval from {terms.n_boot:,} resamples of the patients of each, "
        "drawn apart from one another. An interval that leaves out 0 is more than the draw of patients explains; "
        "intervals are not adjusted for their number."
    )
    return ["## Difference from the internal test split", markdown(apart_rows(sets)), how]


def _failures(failed: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {why}" for name, why in failed.items())


def _mix_row(one: Measured, lesions: bool) -> tuple[str, ...]:
    mix = one.mix
    shares = [f"{100 * share:.1f} %" for share in mix.prevalence.values()]
    size = "n/a" if mix.size_mm is None else f"{mix.size_mm[1]:.1f} ({mix.size_mm[0]:.1f} to {mix.size_mm[2]:.1f})"
    middle = [f"{mix.lesions:.2f}" if mix.lesions is not None else "n/a", size] if lesions else []
    return (one.name, *shares, *middle, f"{mix.images:.2f}")
