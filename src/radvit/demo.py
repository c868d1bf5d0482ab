"""The demo's last step: what came out, in one table and one file."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from radvit.entry import fail
from radvit.errors import ConfigError
from radvit.terminal import table

SHOWN = {
    "froc/cpm": "CPM: lesions found, mean over 1/8 to 8 false alarms an image",
    "froc/sensitivity@1": "lesions found at 1 false alarm an image",
    "study_auroc": "AUROC, study has a nodule or not",
}


def summary(folder: Path) -> dict[str, Any]:
    """The figures of a demo's folder. Raises FileNotFoundError where a step left nothing."""
    evaluation = json.loads((folder / "evaluation" / "metrics.json").read_text())
    quantized = json.loads((folder / "run" / "bundle" / "quantization.json").read_text())
    with (folder / "reports" / "manifest.csv").open(newline="") as file:
        states = Counter(row["state"] for row in csv.DictReader(file))
    columns = {"ViT": evaluation["metrics"], "ViT INT8": evaluation["precisions"]["int8"]}
    columns["blobs (LoG)"] = evaluation["baselines"]["blobs"]
    return {
        "metrics": {name: {key: column[key] for key in SHOWN} for name, column in columns.items()},
        "ms_per_image": quantized["ms_per_image"],
        "megabytes": quantized["megabytes"],
        "int8_recipe": quantized["recipe"],
        "int8": quantized["precisions"]["int8"]["state"],
        "studies": dict(states),
        "provenance": evaluation["provenance"],
    }


def rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """The summary as a table: figures with their 95 % intervals."""
    columns: dict[str, dict[str, dict[str, float]]] = result["metrics"]
    table_of = [("on the phantom's test patients", *columns)]
    for key, words in SHOWN.items():
        cells = (f"{c[key]['value']:.3f} [{c[key]['low']:.3f}, {c[key]['high']:.3f}]" for c in columns.values())
        table_of.append((words, *cells))
    speed, size = result["ms_per_image"], result["megabytes"]
    table_of.append(("ms an image (ONNX Runtime)", f"{speed['onnx']:.1f}", f"{speed['int8']:.1f}", ""))
    table_of.append(("MB on disk", f"{size['onnx']:.1f}", f"{size['int8']:.1f}", ""))
    table_of.append(("INT8 on the validation patients", "", result["int8"], ""))
    return table_of


def most_suspicious(reports: Path) -> Path:
    """The report whose strongest finding has the highest score; the folder itself where there is none."""
    scores = {}
    for path in sorted(reports.glob("*/findings.json")):
        findings = json.loads(path.read_text())["findings"]
        scores[path.parent / "report.html"] = max((f["score"] for f in findings), default=0.0)
    return max(scores, key=lambda path: scores[path], default=reports)


def forms() -> list[str]:
    """The forms that reports can be written in on this machine: PDF needs a library that pip doesn't bring."""
    from radvit.report.pdf import check_pdf

    try:
        check_pdf("en")
    except ConfigError as error:
        print(f"no PDF in this demo: {error}", file=sys.stderr)  # noqa: T201
        return ["sr", "fhir"]
    return ["pdf", "sr", "fhir"]


def main() -> None:
    """Print the table and where to look, and write summary.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("outputs/demo"))
    parser.add_argument("--forms", action="store_true", help="print the forms that reports can be written in here")
    arguments = parser.parse_args()
    if arguments.forms:
        print(f"[{','.join(forms())}]")  # noqa: T201
        return
    folder = arguments.folder
    try:
        result = summary(folder)
    except (OSError, KeyError, ValueError) as error:
        fail(f"{folder}: the demo did not get to its end ({type(error).__name__}: {error})", 2)
    (folder / "summary.json").write_text(json.dumps(result, indent=2) + "\n")
    table(rows(result))
    for what, path in (
        ("how good it is", folder / "evaluation" / "REPORT.md"),
        ("its FROC curve", folder / "evaluation" / "figures" / "froc.png"),
        ("a report it wrote", most_suspicious(folder / "reports")),
        ("the same as PDF", most_suspicious(folder / "reports").with_name("report.pdf")),
        ("all its studies", folder / "reports" / "index.html"),
        ("the saved model", folder / "run" / "bundle" / "MODEL_CARD.md"),
    ):
        if path.exists():
            print(f"  {what:18} {path}")  # noqa: T201


if __name__ == "__main__":
    main()
