"""MODEL_CARD.md: what a saved model is, filled from its own record."""

from __future__ import annotations

from typing import Any

from radvit.bundle import Bundle
from radvit.evaluation.operating_point import OperatingPoint
from radvit.metrics.calibrated import Calibration

ANY = "any"
RESULTS = "## Results"
NOT_MEASURED = "Not measured yet: `python evaluate.py checkpoint=RUN` fills this in."


def model_card(bundle: Bundle) -> str:
    """The card as Markdown (Mitchell et al. 2019, in brief), of a model that was not measured yet."""
    spec, scope, trained = bundle.spec, bundle.scope, bundle.trained
    rows = {
        "task": spec.task.value,
        "labels": ", ".join(bundle.labels),
        "backbone": f"{spec.backbone.name} ({trained.get('weights_m', '?')} M weights)",
        "images": f"{bundle.preprocess.size} px"
        + ("" if spec.window is None else f", in windows of {spec.window.size} px"),
        "merged tokens": f"{spec.backbone.merge_tokens:g} of them after each block",
        "started from": trained.get("weights")
        or ("published weights" if trained.get("pretrained") else "random weights"),
        "trained on": f"{trained.get('n_train', '?')} images, tuned on {trained.get('n_val', '?')}",
        "data fingerprint": trained.get("data_fingerprint", ""),
        "split": trained.get("split_hash", ""),
        "leaks between splits": accepted(trained.get("accepted_leaks")),
        "modalities": ", ".join(scope.modalities) or ANY,
        "body parts": ", ".join(scope.body_parts) or ANY,
        "views": ", ".join(scope.views) or ANY,
        "operating point": point_words(bundle),
        "calibration": Calibration.from_dict(bundle.calibration).words() if bundle.calibration else "none",
        "seed": trained.get("seed", ""),
        "radvit": trained.get("version", ""),
        "commit": trained.get("git_commit", ""),
    }
    if not spec.backbone.merge_tokens:
        del rows["merged tokens"]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""# {bundle.name}

Research use only: not a medical device, not for clinical decisions.

| | |
| --- | --- |
{table}

Images outside the scope above are refused unless asked for. The operating point and the calibration were chosen on
the validation images and are frozen. A score says how sure this model is, on data like its training data; on other
patients, machines or diseases it may be wrong without a sign of it.

{RESULTS}

{NOT_MEASURED}
"""


def with_results(card: str, results: str) -> str:
    """A card with its results replaced, or added to one of an earlier version. results: without a heading."""
    before = card.partition(f"\n{RESULTS}\n")[0].rstrip()
    return f"{before}\n\n{RESULTS}\n\n{results}\n"


def point_words(bundle: Bundle) -> str:
    """The frozen thresholds and how they were chosen."""
    if not bundle.operating_point:
        return "none: no validation images"
    point = OperatingPoint.from_dict(bundle.operating_point)
    images = ", ".join(f"{k} {t:.4g}" for k, t in zip(bundle.labels, point.image_thresholds, strict=True))
    words = "likeliest label" if bundle.exclusive else f"image scores from: {images} ({point.rule_words()})"
    if point.box_threshold is None:
        return words
    boxes = f"box scores from {point.box_threshold:.4g} (at most {point.fp_per_image:g} false alarms an image"
    return f"{words}; {boxes}, a hit where {point.hit_rule.words()})"


def accepted(leaks: list[dict[str, Any]] | None) -> str:
    """The leaks that were let through, in words; `leaks`: as the bundle's record has them, None in an old one."""
    if leaks is None:
        return "not looked for"
    told = (f"{leak['kind']} {leak['count']} ({' and '.join(leak['between'])})" for leak in leaks)
    return ", ".join(told) + ", accepted" if leaks else "none"
