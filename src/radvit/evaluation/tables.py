"""Metrics side by side, as rows of text: for a terminal and for the report page."""

from __future__ import annotations

from collections.abc import Mapping

from radvit.evaluation.evaluate import Metric
from radvit.evaluation.figures import interval_words

NAMES = {
    "auroc": "AUROC, image",
    "study_auroc": "AUROC, study",
    "average_precision": "Average precision, image",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity, image",
    "specificity": "Specificity, image",
    "ppv": "Positive predictive value, image",
    "npv": "Negative predictive value, image",
    "brier": "Brier score (lower is better)",
    "ece": "Calibration error ECE (lower is better)",
    "lesion_sensitivity": "Lesions found at the operating point",
    "fp_per_image": "False alarms per image at the operating point",
    "froc/cpm": "FROC score CPM (mean of the seven)",
    "jafroc": "JAFROC figure of merit",
    "map": "mAP, IoU 0.10 to 0.50",
    "map_coco": "mAP of COCO, IoU 0.50 to 0.95",
    "dice": "Dice, images with a lesion",
    "hd95": "HD95 of outlines, model pixels (lower is better)",
    "dice_pooled": "Dice, pixels of all images together",
}


def table_rows(
    metrics: Mapping[str, Metric],
    baselines: Mapping[str, Mapping[str, Metric]] = {},
    precisions: Mapping[str, Mapping[str, Metric]] = {},
    name: str = "model",
) -> list[tuple[str, ...]]:
    """Header and one row a metric: its name, then `0.850 [0.801, 0.893]` for the model, each precision, each baseline.

    A metric that another column lacks or that isn't defined is `n/a`.
    """
    columns = {name: metrics, **precisions, **baselines}
    header = ("metric", *columns)
    return [header, *((title(key), *(interval_words(c.get(key)) for c in columns.values())) for key in metrics)]


def title(name: str) -> str:
    """A metric's name in words."""
    if name.startswith("froc/sensitivity@"):
        rate = name.partition("@")[2]
        return f"Lesions found at {rate} false alarm{'' if rate == '1' else 's'} per image"
    if name.startswith("dice/"):
        return f"Dice, images with {name.partition('/')[2]}"
    if name.startswith("hd95/"):
        return f"HD95 of outlines of {name.partition('/')[2]}, model pixels (lower is better)"
    return NAMES.get(name, name)


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows as a Markdown table, numbers to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "| --- |" + " ---: |" * (len(rows[0]) - 1)
    return "\n".join([lines[0], rule, *lines[1:]])
