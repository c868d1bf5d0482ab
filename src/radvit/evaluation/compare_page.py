"""A comparison as rows, as compare.json and as COMPARE.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radvit.evaluation.compare import ALPHA, Difference, Method, Verdict, lower_is_better
from radvit.evaluation.compare_figures import comparison_figures, save
from radvit.evaluation.reading import Saved
from radvit.evaluation.tables import markdown, title
from radvit.evaluation.writing import write_json
from radvit.origin import git_commit, now
from radvit.plural import counted

FIGURES = {
    "froc": "Lesions found against false alarms",
    "ranking": "ROC and precision-recall curves",
    "differences": "Each metric's difference with its interval",
}
HEADER = ("metric", "A", "B", "B - A", "p", "by", "verdict")


@dataclass(frozen=True, slots=True)
class Terms:
    """How two evaluations were compared. a, b: as they were given. n_boot: resamples, drawn with `seed`."""

    a: str
    b: str
    seed: int
    n_boot: int


def rows(found: Mapping[str, Difference]) -> list[tuple[str, ...]]:
    """Header and one row a metric: both values, the difference with its interval, p, the test, the verdict."""
    return [HEADER, *(_row(name, one) for name, one in found.items())]


def write_comparison(folder: Path, found: Mapping[str, Difference], a: Saved, b: Saved, terms: Terms) -> None:
    """Write compare.json, COMPARE.md and their figures."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "compare.json", document(found, a, b, terms))
    figures = comparison_figures(found, a, b, np.random.default_rng(terms.seed), terms.n_boot)
    save(figures, folder / "figures")
    (folder / "COMPARE.md").write_text(page(found, a, b, terms, list(figures)), encoding="utf-8")


def document(found: Mapping[str, Difference], a: Saved, b: Saved, terms: Terms) -> dict[str, Any]:
    """The content of compare.json."""
    return {
        "differences": {name: _plain(name, one) for name, one in found.items()},
        "a": _side(terms.a, a),
        "b": _side(terms.b, b),
        "split": a.split,
        "n_patients": len(set(a.predictions.patients)),
        "n_images": len(a.predictions),
        "n_lesions": a.predictions.n_lesions,
        "hit_rule": a.hit_rule.to_dict(),
        "bootstrap": {"resamples": terms.n_boot, "seed": terms.seed, "unit": "patient", "level": 0.95},
        "alpha": ALPHA,
        "created": now(),
        "git_commit": git_commit(),
    }


def page(found: Mapping[str, Difference], a: Saved, b: Saved, terms: Terms, figures: Sequence[str] = ()) -> str:
    """COMPARE.md as Markdown, ending in a newline. figures: names of the pictures in its folder `figures`."""
    warned = [
        f"**{side} was measured on images seen in training: {s.seen}**" for side, s in (("A", a), ("B", b)) if s.seen
    ]
    parts = [
        "# Comparison of two models",
        f"- A: `{terms.a}` ({_model(a)})\n- B: `{terms.b}` ({_model(b)})",
        *warned,
        headline(found, a),
        markdown(rows(found)),
        f"Brackets: 95 % interval of the difference; p: two-sided. A verdict needs p < {ALPHA:g}.",
        *(f"![{FIGURES[name]}](figures/{name}.png)" for name in figures),
        "## How it was compared",
        _method(found, terms),
        "## How to do it again",
        f"```\n{command(a.split, terms)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def headline(found: Mapping[str, Difference], a: Saved) -> str:
    """On how much, and in how many metrics which of the two is better."""
    p = a.predictions
    counts = [counted(len(set(p.patients)), "patient"), counted(len(p), "image")]
    counts += [counted(p.n_lesions, "lesion")] if p.localises else []
    tally = {verdict: sum(one.verdict is verdict for one in found.values()) for verdict in Verdict}
    said = ", ".join(f"{verdict.value} in {n}" for verdict, n in tally.items() if n)
    return f"On the same {', '.join(counts)} of split {a.split}, over {counted(len(found), 'metric')}: {said}."


def command(split: str, terms: Terms) -> str:
    """What makes the comparison again."""
    return (
        f"python evaluate.py 'compare=[{terms.a},{terms.b}]' split={split} bootstrap={terms.n_boot} seed={terms.seed}"
    )


def _method(found: Mapping[str, Difference], terms: Terms) -> str:
    used = {one.method for one in found.values()}
    lines = []
    if Method.DELONG in used:
        lines.append("- DeLong: DeLong's test of two areas under ROC curves; each patient has one image or study.")
    if Method.CLUSTERED in used:
        lines.append(
            "- DeLong over patients: the same with its sums taken over patients (Obuchowski 1997), as images of one "
            "patient are not independent."
        )
    if Method.BOOTSTRAP in used:
        lines.append(
            f"- Bootstrap: {terms.n_boot:,} resamples of whole patients, the same for both models; percentile interval "
            "of the difference, and twice the smaller share of resamples on one side of 0."
        )
    lines += [
        "- What depends on thresholds is measured at each model's own, fixed on validation images.",
        "- p-values are not adjusted for the number of metrics: say beforehand which one decides.",
        '- "No difference shown" is not "no difference": the interval says how large one may be.',
        "- Models and thresholds are held fixed: another training run of either may differ by more.",
    ]
    return "\n".join(lines)


def _row(name: str, one: Difference) -> tuple[str, ...]:
    tested = one.tested
    apart = _number(tested.difference, sign=True)
    if np.isfinite(tested.low):
        apart += f" [{_number(tested.low, sign=True)}, {_number(tested.high, sign=True)}]"
    return (title(name), _number(one.a), _number(one.b), apart, _p(tested.p), one.method.value, one.verdict.value)


def _number(value: float, sign: bool = False) -> str:
    if not np.isfinite(value):
        return "n/a"
    return f"{value:+.3f}" if sign else f"{value:.3f}"


def _p(p: float) -> str:
    if not np.isfinite(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _plain(name: str, one: Difference) -> dict[str, Any]:
    tested = one.tested
    return {
        "a": one.a,
        "b": one.b,
        "difference": tested.difference,
        "low": tested.low,
        "high": tested.high,
        "p": tested.p,
        "method": one.method.value,
        "better": "lower" if lower_is_better(name) else "higher",
        "verdict": one.verdict.value,
    }


def _side(given: str, saved: Saved) -> dict[str, Any]:
    """Which model a side is."""
    kept = ("model", "precision", "weights", "seed", "data_fingerprint", "split_hash")
    return {"path": given, "seen_in_training": saved.seen, **{key: saved.origin.get(key) for key in kept}}


def _model(saved: Saved) -> str:
    weights = str(saved.origin.get("weights", ""))[:12]
    parts = [str(saved.origin.get("model", "")), str(saved.origin.get("precision", ""))]
    return ", ".join(part for part in [*parts, f"weights {weights}" if weights else ""] if part)
