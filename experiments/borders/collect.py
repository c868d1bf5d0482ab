"""What run.sh measured, in one file: python collect.py OUT."""

import json
import sys
from pathlib import Path

from radvit.terminal import table

NAMES = {
    "field": "field alone, no border",
    "whole": "bordered, as it is",
    "cropped": "bordered, crop_border",
}
METRICS = ("froc/cpm", "froc/sensitivity@1", "auroc", "map")


def main() -> None:
    """Write results.json beside this file, and print its rows."""
    out, rows = Path(sys.argv[1]), []
    for folder, words in NAMES.items():
        metrics = json.loads((out / folder / "metrics.json").read_text())["metrics"]
        rows.append({"name": words, **{name: metrics[name] for name in METRICS}})
    differences = json.loads((out / "compare" / "compare.json").read_text())["differences"]
    record = {"rows": rows, "cropped less whole": {name: differences[name] for name in METRICS}}
    (Path(__file__).parent / "results.json").write_text(json.dumps(record, indent=2) + "\n")
    cells = [
        (
            row["name"],
            *(f"{row[name]['value']:.3f} [{row[name]['low']:.3f}, {row[name]['high']:.3f}]" for name in METRICS),
        )
        for row in rows
    ]
    table([("images", *METRICS), *cells])


if __name__ == "__main__":
    main()
