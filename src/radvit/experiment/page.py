"""README.md of an experiment, made of its results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

MARK = "<!-- Written by `radvit experiment record`, which renews it; a page without this line is left alone. -->"


def page(results: Mapping[str, Any], figure: str) -> str:
    """The page: claim, command, table, figure, how it was measured."""
    name, seeds = results["name"], [row["seed"] for row in results["seeds"]]
    parts = [
        MARK,
        f"# {name}",
        f"**Claim.** {results['claim']}" if results["claim"] else "",
        f"```\nradvit experiment reproduce {name} --data PATH\n```",
        "trains and measures every seed again and says whether the numbers hold." + by_hand(results, seeds[0]),
        table(results),
        f"![Every metric for every seed, with its 95 % interval]({figure})",
        "## How it was measured",
        measured(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def by_hand(results: Mapping[str, Any], seed: int) -> str:
    """The commands of one seed, where the run told them."""
    if not results["overrides"]:
        return ""
    train = shlex.join(["python", "train.py", *results["overrides"], f"seed={seed}"])
    return f" One seed by hand:\n\n```\n{train}\npython evaluate.py checkpoint=RUN split={results['split']}\n```"


def table(results: Mapping[str, Any]) -> str:
    """A row a metric: mean and deviation, then each seed with its interval."""
    seeds = results["seeds"]
    several = len(seeds) > 1
    head = ["metric", *(["mean (sd)"] if several else []), *(f"seed {row['seed']} [95 %]" for row in seeds)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, metric in results["metrics"].items():
        total = [f"{number(metric['mean'])} ({number(metric['sd'])})"] if several else []
        each = [
            with_interval(row[name], interval) for row, interval in zip(seeds, results["intervals"][name], strict=True)
        ]
        lines.append([name, *total, *each])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Three decimals; a dash for no value."""
    return "–" if value is None else f"{value:.3f}"


def with_interval(value: float | None, interval: list[float | None]) -> str:
    """A value and its interval."""
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def measured(results: Mapping[str, Any]) -> str:
    """What made the numbers: split, seeds, interval, threshold, data, code and versions."""
    origin = results["provenance"]
    how = origin["extra"].get("evaluation", {})
    bootstrap, point = how.get("bootstrap", {}), how.get("operating_point") or {}
    seeds = ", ".join(str(row["seed"]) for row in results["seeds"])
    versions = ", ".join(f"{name} {version}" for name, version in origin["extra"].get("versions", {}).items())
    lines = [f"- Split `{results['split']}`; seeds {seeds}; precision {origin['precision']}."]
    if bootstrap:
        level, unit = f"{bootstrap['level']:.0%}", bootstrap["unit"]
        lines.append(f"- Intervals: {level}, {bootstrap['resamples']} bootstrap resamples of each {unit}'s images.")
    if point:
        lines.append(f"- Thresholds chosen on the validation split by the rule `{point['rule']}`, and frozen.")
    lines.append(f"- Data fingerprint `{origin['data_fingerprint'][:16]}`, split `{origin['split_hash'][:16]}`.")
    lines.append(f"- radvit {origin['version']}, commit `{origin['git_commit'][:12] or 'unknown'}`; {versions}.")
    lines.append("- The whole configuration is in `config.yaml`, every number in `results.json`.")
    return "\n".join(lines)
