"""Score radvit and three other tools on the same generated studies: rivals.py RESULTS [--readme PAGE].

Writes RESULTS (JSON), prints the table and puts it into the page. The other tools run in a virtual environment
that is made for them and removed; `uv` must be on the path.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from radvit.bench.deid.answer import Category, Check
from radvit.bench.deid.cohort import Cohort, write_cohort
from radvit.bench.deid.conformance import conformance
from radvit.bench.deid.measure import PACKAGES, scores_to_dict
from radvit.bench.deid.score import Scores, score
from radvit.bench.deid.speed import Rate, radiographs, rates
from radvit.bench.deid.tool import OPTION_NAMES, run_radvit
from radvit.bench.machine import machine

HERE = Path(__file__).resolve().parent
_PASSES = 5  # over the large radiographs
BEGIN, END = "<!-- table by run.sh -->", "<!-- end of the table -->"
TOOLS = ("dicom-anonymizer", "dicognito", "deid, stock recipe", "deid, adapted recipe")


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool did. options: scored with all options of radvit's run. basic: with the rows of the bare profile."""

    options: Scores
    basic: Scores
    failures: dict[str, str]
    new_errors: int | None
    files_per_s: float


def main() -> None:
    """Run all tools and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--readme", type=Path, help="page to put the table into, between its two marks")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="radvit-rivals-") as made:
        folder = Path(made)
        cohort = write_cohort(folder / "cohort", arguments.studies, arguments.seed)
        speed = rates(folder / "speed", arguments.passes, arguments.seed)
        results = {"radvit": _radvit(cohort, folder / "radvit", speed[1])}
        python = _environment(folder / "venv")
        large = folder / "large"
        radiographs(large, arguments.seed)
        for tool in TOOLS:
            results[tool] = _rival(python, tool, cohort, folder / tool, large)
        versions = _versions(python)
    _write(arguments, cohort, results, speed, versions)
    table = _table(results)
    sys.stdout.write(table + "\n")
    if arguments.readme is not None:
        _put_table(arguments.readme, table)


def _environment(folder: Path) -> Path:
    """A virtual environment with the other tools."""
    subprocess.run(["uv", "venv", "--quiet", str(folder)], check=True)
    python = folder / "bin" / "python"
    requirements = str(HERE / "requirements.txt")
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python), "-r", requirements], check=True)
    return python


def _versions(python: Path) -> dict[str, str]:
    """Of the packages named in requirements.txt, as installed."""
    listed = json.loads(
        subprocess.run(
            ["uv", "pip", "list", "--format", "json", "--python", str(python)], check=True, capture_output=True
        ).stdout
    )
    named = set(re.findall(r"^([a-z-]+)==", (HERE / "requirements.txt").read_text(), re.M))
    return {package["name"]: package["version"] for package in listed if package["name"] in named}


def _radvit(cohort: Cohort, outputs: Path, rate: Rate) -> Result:
    ran = run_radvit(cohort.folder, outputs, cohort.key.files)
    failures = {failure.path.as_posix(): failure.reason for failure in ran.failures}
    return _scored(cohort, outputs, ran.mapping, failures, rate.files_per_s)


def _rival(python: Path, tool: str, cohort: Cohort, outputs: Path, large: Path) -> Result:
    report = _run(python, tool, cohort.folder, outputs)
    rate = statistics.median(_rate(python, tool, large, outputs, number) for number in range(_PASSES))
    mapping = {file: Path(file) for file in cohort.key.files}
    return _scored(cohort, outputs, mapping, report["failures"], rate)


def _rate(python: Path, tool: str, large: Path, outputs: Path, number: int) -> float:
    """Files a second of one pass over the large radiographs, the first file's imports and all."""
    report = _run(python, tool, large, outputs.with_name(f"{tool} large {number}"))
    done = len(list(large.glob("*.dcm"))) - len(report["failures"])
    return done / report["seconds"] if done else 0.0


def _run(python: Path, tool: str, source: Path, outputs: Path) -> dict[str, Any]:
    outputs.mkdir(parents=True)
    report = outputs.with_suffix(".json")
    command = [str(python), str(HERE / "run_one.py"), tool, str(source), str(outputs), str(report)]
    subprocess.run(command, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def _scored(
    cohort: Cohort, outputs: Path, mapping: Mapping[str, Path], failures: dict[str, str], files_per_s: float
) -> Result:
    all_rows = score(cohort.folder, outputs, cohort.key, mapping, OPTION_NAMES)
    basic = score(cohort.folder, outputs, cohort.key, mapping, ())
    checked = conformance(cohort.folder, outputs, mapping)
    return Result(all_rows, basic, failures, None if checked is None else len(checked.broken), files_per_s)


def _write(
    arguments: argparse.Namespace,
    cohort: Cohort,
    results: dict[str, Result],
    speed: list[Rate],
    versions: dict[str, str],
) -> None:
    written = {
        "studies": arguments.studies,
        "files": len(cohort.key.files),
        "seed": arguments.seed,
        "options": sorted(OPTION_NAMES),
        "rows": {tool: _result_to_dict(result) for tool, result in results.items()},
        "speed": [rate.to_dict() for rate in speed],
        "provenance": {**machine(PACKAGES), "other tools": versions},
    }
    arguments.results.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def _result_to_dict(result: Result) -> dict[str, Any]:
    scores = scores_to_dict(result.options)
    basic = scores_to_dict(result.basic)
    del scores["failures"], basic["failures"]
    return {
        "all_options": scores,
        "basic_profile_alone": {name: basic[name] for name in ("checks", "categories", "all")},
        "not_processed": result.failures,
        "new_dciodvfy_errors": result.new_errors,
        "files_per_s_1760x2140": result.files_per_s,
        "examples": _examples(result.options),
    }


def _examples(scores: Scores) -> list[dict[str, str]]:
    """A few failed rows of each kind of plant, so that one sees what a number stands for."""
    seen: dict[tuple[str, str], int] = {}
    kept = []
    for failed in scores.failures:
        kind = failed.row.check.value, failed.row.kind
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] == 1:
            kept.append({"check": kind[0], "kind": kind[1], "path": failed.row.path, "planted": failed.row.value})
    return [{**example, "failed": str(seen[example["check"], example["kind"]])} for example in kept]


def _table(results: Mapping[str, Result]) -> str:
    """Markdown: percent of each check for each tool."""
    head = ["%", *results]
    rows = [head, ["---"] * len(head)]
    rows += [[check.value, *(_percent(one.options, check, None) for one in results.values())] for check in Check]
    for category in (Category.DIRECT, Category.INDIRECT):
        name = f"**{category.value} identifiers**"
        rows.append([name, *(_percent(result.options, None, category) for result in results.values())])
    rows.append(["**all**", *(_percent(result.options, None, None) for result in results.values())])
    rows.append(["all, basic profile alone", *(_percent(result.basic, None, None) for result in results.values())])
    rows.append(["strings that name a patient, left", *(str(len(one.options.leaks)) for one in results.values())])
    rows.append(["new dciodvfy errors", *(_shown(result.new_errors) for result in results.values())])
    rows.append(["files not processed", *(str(len(result.failures)) for result in results.values())])
    rows.append(["files/s, 1760 x 2140", *(f"{result.files_per_s:.1f}" for result in results.values())])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _put_table(page: Path, table: str) -> None:
    """Exchange what stands between the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def _percent(scores: Scores, check: Check | None, category: Category | None) -> str:
    tally = scores.of(check, category)
    return f"{tally.percent:.2f}"


def _shown(count: int | None) -> str:
    return "not checked" if count is None else str(count)


if __name__ == "__main__":
    main()
