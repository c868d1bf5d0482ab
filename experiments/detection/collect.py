"""Print the table of this experiment, and write results.json, from what run.sh left: collect.py OUT."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SHOWN = ("froc/cpm", "froc/sensitivity@1", "auroc")
HERE = Path(__file__).parent


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def row(name: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """A method's line: each metric with its interval."""
    return {"method": name, **{key: metrics[key] for key in SHOWN}}


def collected(out: Path) -> dict[str, Any]:
    """Metrics of both models and of the blobs, the paired test, and the times of one interleaved run."""
    dense, window = (read(out / name / "evaluation" / "test" / "metrics.json") for name in ("dense", "window"))
    tested = read(out / "compare" / "compare.json")
    rows = [
        row("dense", dense["metrics"]),
        row("window", window["metrics"]),
        row("blobs", dense["baselines"]["blobs"]),
    ]
    return {
        "rows": rows,
        "dense_less_window": {key: tested["differences"][key] for key in SHOWN},
        "n": {key: tested[key] for key in ("n_patients", "n_images", "n_lesions")},
        "speed": read(out / "speed.json"),
        "provenance": {"dense": dense["provenance"], "window": window["provenance"]},
    }


def shown(one: dict[str, Any]) -> str:
    """A metric with its interval."""
    return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


def lines(results: dict[str, Any]) -> list[str]:
    """What the page quotes, a line each."""
    found = [" | ".join([line["method"], *(shown(line[key]) for key in SHOWN)]) for line in results["rows"]]
    for key, one in results["dense_less_window"].items():
        apart = f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
        found.append(f"{key} {apart}, p {one['p']:.4f}, {one['verdict']}")
    for line in results["speed"]["rows"]:
        times = f"{line['times']:.1f} [{line['low']:.1f}, {line['high']:.1f}] times"
        found.append(f"{line['model']}: {line['ms']:.1f} ms an image, {times}")
    return found


if __name__ == "__main__":
    results = collected(Path(sys.argv[1]))
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(lines(results)) + "\n")
