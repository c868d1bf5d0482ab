"""Print the table of this experiment, and write results.json, from what run.sh left: collect.py OUT."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SHOWN = ("froc/cpm", "auroc", "jafroc", "map", "map_coco")
OTHERS = ("set", "centreness", "flip")
HERE = Path(__file__).parent


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def evaluation(out: Path, name: str) -> dict[str, Any]:
    """What evaluate.py wrote of a run; `flip` is `heat`, each image looked at twice."""
    return read(out / name / "evaluation" / "val" / "metrics.json")


def collected(out: Path) -> dict[str, Any]:
    """Each head's metrics, and how the others differ from `heat` on the same images."""
    found = {name: evaluation(out, name) for name in ("heat", *OTHERS)}
    tested = {name: read(out / "compare" / name / "compare.json") for name in OTHERS}
    return {
        "rows": [{"head": name, **{key: one["metrics"][key] for key in SHOWN}} for name, one in found.items()],
        "less_heat": {name: {key: one["differences"][key] for key in SHOWN} for name, one in tested.items()},
        "n": {key: tested["set"][key] for key in ("n_patients", "n_images", "n_lesions")},
        "provenance": {name: one["provenance"] for name, one in found.items()},
    }


def lines(results: dict[str, Any]) -> list[str]:
    """What the page quotes, a line each."""
    found = []
    for row in results["rows"]:
        cells = [f"{row[key]['value']:.3f} [{row[key]['low']:.3f}, {row[key]['high']:.3f}]" for key in SHOWN]
        found.append(" | ".join([row["head"], *cells]))
    for name, tests in results["less_heat"].items():
        cells = [f"{tests[key]['difference']:+.3f}, p {tests[key]['p']:.3f}" for key in SHOWN]
        found.append(" | ".join([f"{name} less heat", *cells]))
    return found


if __name__ == "__main__":
    results = collected(Path(sys.argv[1]))
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(["head | " + " | ".join(SHOWN), *lines(results)]) + "\n")
