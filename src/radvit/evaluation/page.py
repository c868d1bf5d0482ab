"""REPORT.md: what was measured, in one page that a reader can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.figures import interval_words
from radvit.evaluation.operating_point import OperatingPoint
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.tables import markdown, table_rows
from radvit.metrics.calibrated import Calibration
from radvit.metrics.matching import HitRule
from radvit.records import Provenance

METRICS_DOC = "docs/metrics.md"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure on disk: its path relative to the page, and what it shows."""

    path: str
    caption: str


def page(
    name: str,
    predictions: Predictions,
    metrics: Mapping[str, Metric],
    baselines: Mapping[str, Mapping[str, Metric]],
    precisions: Mapping[str, Mapping[str, Metric]],
    provenance: Provenance,
    operating: OperatingPoint | None,
    hit_rule: HitRule,
    calibration: Calibration | None,
    drawn: Sequence[Drawn],
    command: str,
    seen: str = "",
    further: Sequence[str] = (),
) -> str:
    """The report as Markdown, ending in a newline. seen: what the model saw in training, in words.

    further: sections after the figures.
    """
    parts = [
        f"# Evaluation of {name}",
        f"**Seen in training: {seen}. These numbers say nothing about new patients.**" if seen else "",
        headline(name, predictions, metrics, baselines),
        markdown(table_rows(metrics, baselines, precisions, name)),
        "Brackets: 95 % interval from a bootstrap that resamples patients; n/a: not defined on these data.",
        *(f"![{figure.caption}]({figure.path})\n\n*{figure.caption}*" for figure in drawn),
        *further,
        "## How it was measured",
        method(predictions, operating, hit_rule, calibration),
        "## How to recompute it",
        _recompute(predictions, command),
        "## Where it comes from",
        origin_table(provenance),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(
    name: str,
    predictions: Predictions,
    metrics: Mapping[str, Metric],
    baselines: Mapping[str, Mapping[str, Metric]],
) -> str:
    """The result in a sentence or two, each number with its interval."""
    n = f"{len(set(predictions.patients))} patients ({len(predictions)} images"
    n += f", {predictions.n_lesions} lesions)" if predictions.n_lesions else ")"
    first = f"On {n}, {name} separates images with a finding from those without with an AUROC of "
    first += f"**{interval_words(metrics.get('auroc'))}**"
    if not predictions.localises:
        return f"{first} and an accuracy of **{interval_words(metrics.get('accuracy'))}**."
    second = f" and finds **{interval_words(metrics.get('froc/sensitivity@1'))}** of the lesions at one false alarm an "
    second += f"image (FROC score CPM **{interval_words(metrics.get('froc/cpm'))}**)."
    against = "; ".join(f"{other} {interval_words(m.get('froc/cpm'))}" for other, m in baselines.items())
    if "dice" in metrics:
        second += f" Its masks have a mean Dice of **{interval_words(metrics['dice'])}** where there is a lesion."
    return first + second + (f" CPM of the baseline on the same images: {against}." if against else "")


def method(
    predictions: Predictions, operating: OperatingPoint | None, hit_rule: HitRule, calibration: Calibration | None
) -> str:
    """How lesions, calls and probabilities came about, as a list."""
    lines = []
    if predictions.weak:
        lines.append(
            "- The model is a classifier that learned from no box: its boxes are drawn around where it looked, and "
            "scored by the image's score times how strongly it looked there."
        )
    if predictions.localises:
        lines.append(
            f"- A lesion is found when {hit_rule.words()}. Each lesion is found once, by its best-scored box; further "
            "boxes on it are neither hits nor false alarms. False alarms are counted over all images, those without "
            "lesions included."
        )
    if predictions.exclusive:
        lines.append("- Each image is called as its likeliest label.")
    elif operating is not None:
        chosen = ", ".join(
            f"{label} at a score of {threshold:.4g} or more"
            for label, threshold in zip(predictions.labels, operating.image_thresholds, strict=True)
        )
        lines.append(f"- An image is called {chosen} (rule: {operating.rule_words()}).")
    if operating is not None and operating.box_threshold is not None:
        lines.append(
            f"- A box counts at a score of {operating.box_threshold:.4g} or more: the lowest threshold with at most "
            f"{operating.fp_per_image:g} false alarms an image on the validation images."
        )
        if operating.hit_rule != hit_rule:
            lines.append(
                f"- **That threshold was chosen with another hit rule**, by which a lesion is found when "
                f"{operating.hit_rule.words()}: by the rule of this page it may cost more or fewer false alarms."
            )
    if calibration is not None:
        lines.append(f"- Calibration: {calibration.words()}.")
    if operating is not None:
        lines.append("- Thresholds and calibration were fixed on validation images before these images were scored.")
    lines.append(f"- Every metric is defined, with its source, in `{METRICS_DOC}`.")
    return "\n".join(lines)


def _recompute(predictions: Predictions, command: str) -> str:
    files = "`predictions.csv` (score of each image and label), `truth_labels.csv`, `images.csv` (patient and study)"
    if predictions.localises:
        files += ", `boxes.csv` and `truth_boxes.csv` (pixels of the original image)"
    if predictions.overlap is not None:
        files += (
            ", `masks.csv` (found and true masks' pixels, and how far apart their outlines lie, at the model's size)"
        )
    text = f"Every number above follows from {files}, all written in full precision. `metrics.json` holds the results."
    return f"{text}\n\n```\n{command}\n```" if command else text


def origin_table(provenance: Provenance) -> str:
    """What made the numbers, as a table."""
    rows = [
        ("model", provenance.model),
        ("radvit", provenance.version),
        ("precision", provenance.precision),
        ("weights (sha256)", provenance.weights),
        ("commit", provenance.git_commit),
        ("seed", "" if provenance.seed is None else str(provenance.seed)),
        ("data", provenance.data_fingerprint),
        ("split", provenance.split_hash),
        ("created", provenance.created),
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {key} | `{value}` |" for key, value in rows if value)])
