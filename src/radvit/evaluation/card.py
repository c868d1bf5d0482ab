"""MODEL_CARD.md: what a saved model is, filled from its own record."""

from __future__ import annotations

from typing import Any

from radvit.bundle import Bundle

ANY = "any"


def model_card(bundle: Bundle) -> str:
    """The card as Markdown (Mitchell et al. 2019, in brief)."""
    spec, scope, trained = bundle.spec, bundle.scope, bundle.trained
    rows = {
        "task": spec.task.value,
        "labels": ", ".join(bundle.labels),
        "backbone": f"{spec.backbone.name} ({trained.get('weights_m', '?')} M weights), {spec.backbone.image_size} px",
        "started from": trained.get("weights")
        or ("published weights" if trained.get("pretrained") else "random weights"),
        "trained on": f"{trained.get('n_train', '?')} images, tuned on {trained.get('n_val', '?')}",
        "data fingerprint": trained.get("data_fingerprint", ""),
        "split": trained.get("split_hash", ""),
        "leaks between splits": accepted(trained.get("accepted_leaks")),
        "modalities": ", ".join(scope.modalities) or ANY,
        "body parts": ", ".join(scope.body_parts) or ANY,
        "views": ", ".join(scope.views) or ANY,
        "operating point": bundle.operating_point or "none: no validation images",
        "calibration": bundle.calibration or "none",
        "seed": trained.get("seed", ""),
        "radvit": trained.get("version", ""),
        "commit": trained.get("git_commit", ""),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""# {bundle.name}

Research use only: not a medical device, not for clinical decisions.

| | |
| --- | --- |
{table}

Images outside the scope above are refused unless asked for. The operating point and the calibration were chosen on
the validation images and are frozen. A score says how sure this model is, on data like its training data; on other
patients, machines or diseases it may be wrong without a sign of it.
"""


def accepted(leaks: list[dict[str, Any]] | None) -> str:
    """The leaks that were let through, in words; `leaks`: as the bundle's record has them, None in an old one."""
    if leaks is None:
        return "not looked for"
    told = (f"{leak['kind']} {leak['count']} ({' and '.join(leak['between'])})" for leak in leaks)
    return ", ".join(told) + ", accepted" if leaks else "none"
