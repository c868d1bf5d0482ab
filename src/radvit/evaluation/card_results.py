"""The results in MODEL_CARD.md, made of the same records and by the same functions as REPORT.md."""

from __future__ import annotations

from collections.abc import Mapping

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.page import headline, method, origin_table
from radvit.evaluation.predictions import Predictions
from radvit.evaluation.subgroups_page import gap_words
from radvit.evaluation.tables import markdown, table_rows
from radvit.evaluation.writing import Setting
from radvit.records import Provenance

Metrics = Mapping[str, Metric]


def results(
    metrics: Metrics,
    baselines: Mapping[str, Metrics],
    precisions: Mapping[str, Metrics],
    predictions: Predictions,
    provenance: Provenance,
    setting: Setting,
) -> str:
    """The section as Markdown, without its heading and without a newline at its end."""
    gaps = [f"- Subgroups, {gap_words(gap)}." for gap in setting.groups.gaps] if setting.groups else []
    seen = (
        f"**Seen in training: {setting.seen}. These numbers say nothing about new patients.**" if setting.seen else ""
    )
    parts = [
        f"Measured on split {setting.split} of the data that the model comes from.",
        seen,
        headline(setting.name, predictions, metrics, baselines),
        markdown(table_rows(metrics, baselines, precisions, setting.name)),
        "Brackets: 95 % interval from a bootstrap that resamples patients; n/a: not defined on these data.",
        "\n".join([method(predictions, setting.operating, setting.hit_rule, setting.calibration), *gaps]),
        origin_table(provenance),
        f"```\n{setting.command}\n```" if setting.command else "",
    ]
    return "\n\n".join(part for part in parts if part)
