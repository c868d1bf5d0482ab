"""Put what run.sh left beside the other machines' numbers, and write the page's tables anew: collect.py OUT."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from radvit.evaluation.figures import COLORS, INK, dress

HERE = Path(__file__).parent
BEGIN, END = "<!-- tables: written by collect.py -->\n", "<!-- end of tables -->"
SPEEDING = ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "avx512f", "avx2")  # what INT8 gains by, best first
WIDE = 2  # panels beside one another


def kind(machine: dict[str, Any]) -> str:
    """A machine's name for a file: its GPU, its processor, what that has for INT8, and how many cores were used."""
    known = machine["cpu_features"].split()
    words = [machine.get("gpu", ""), re.sub(r"\(\w+\)|@.*|CPU|Processor|[\d-]+-Core", " ", machine["cpu"])]
    words += [next((name for name in SPEEDING if name in known), ""), f"{machine['threads']} cores"]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def variant(row: dict[str, Any]) -> str:
    """An engine and its number format."""
    on = " on the GPU" if row["device"] == "cuda" else ""
    return f"{row['engine']} {row['precision']}{on}"


def model_table(speed: dict[str, Any]) -> list[str]:
    """A line a model, size and batch; a column an engine and number format."""
    columns = list(dict.fromkeys(map(variant, speed["rows"])))
    lines = [f"| model | px | batch | {' | '.join(columns)} |", "| --- | ---: | ---: |" + " ---: |" * len(columns)]
    tables: dict[tuple[str, int, int], dict[str, str]] = {}
    for row in speed["rows"]:
        times = f"{row['ratio_to_eager']:.2f}x [{row['low']:.2f}, {row['high']:.2f}]"
        plain, base = f"{row['ms_per_image']:.1f}", variant(row).startswith("torch fp32")
        cell = plain if base else f"{plain}, {times}"
        tables.setdefault((row["model"], row["size"], row["batch"]), {})[variant(row)] = cell
    for (model, size, batch), cells in tables.items():
        lines.append(f"| {model} | {size} | {batch} | {' | '.join(cells.get(name, '') for name in columns)} |")
    return lines


def stage_table(end: dict[str, Any]) -> list[str]:
    """A line a stage, a column a method and number format."""
    found = dict.fromkeys((row["method"], row["precision"]) for row in end["rows"])
    columns = sorted(found, key=lambda column: column[0] == "article")
    stages = list(dict.fromkeys(row["stage"] for row in end["rows"] if row["method"] == "radvit"))
    at = stages.index("model")
    own = [row["stage"] for row in end["rows"] if row["method"] == "article" and row["stage"] not in stages]
    cells = {(row["stage"], row["method"], row["precision"]): row for row in end["rows"]}
    head = " | ".join(f"{method} {precision}, ms" for method, precision in columns)
    lines = [f"| stage | {head} |", "| --- |" + " ---: |" * len(columns)]
    for stage in [*stages[:at], *own, *stages[at:]]:
        line = (cells.get((stage, *column)) for column in columns)
        lines.append(f"| {stage} | {' | '.join('' if row is None else milliseconds(row) for row in line)} |")
    return lines


def milliseconds(row: dict[str, Any]) -> str:
    """A stage's time; of a total, how many times the article's it is, too."""
    words = f"{'about ' if row.get('estimated') else ''}{row['ms']:,.1f}"
    if "ratio" not in row:
        return words
    return f"**{words}, {row['ratio']:.0f}x faster** [{row['ratio_low']:.0f}, {row['ratio_high']:.0f}]"


def section(name: str, results: dict[str, Any]) -> list[str]:
    """One machine's part of the page."""
    speed, end = results["speed"], results["end_to_end"]
    machine = speed["machine"]
    versions = ", ".join(f"{key} {machine[key]}" for key in ("torch", "onnxruntime", "timm") if key in machine)
    file, timed = end["file"], f"{end['timed']} of {end['windows']}"
    return [
        f"## {name}",
        "",
        f"{machine.get('gpu', '')} {machine['cpu']}, {machine['threads']} threads ({machine['cpu_features']}); "
        f"{versions}. Milliseconds an image, how many times as fast as `torch fp32` and the middle 90 % of "
        f"{machine['rounds']} rounds:".strip(),
        "",
        *model_table(speed),
        "",
        f"![Milliseconds an image by engine and precision]({name}.png)",
        "",
        f"{end['model']} at {end['size']} px, {file['rows']} x {file['columns']} {file['syntax']}, {timed} windows "
        f"timed in {end['machine']['rounds']} rounds:",
        "",
        *stage_table(end),
        "",
    ]


def picture(name: str, speed: dict[str, Any]) -> Figure:
    """A panel a model and size, a bar an engine, number format and batch, with its ratio beside it."""
    rows = speed["rows"]
    panels = list(dict.fromkeys((row["model"], row["size"]) for row in rows))
    batches = sorted({row["batch"] for row in rows})
    down = -(-len(panels) // WIDE)
    figure = Figure(figsize=(9.6, 0.8 + 2.0 * down), dpi=130, layout="constrained")
    axes = figure.subplots(down, min(WIDE, len(panels)), squeeze=False).ravel()
    for place, panel in zip(axes, panels, strict=False):
        here = [row for row in rows if (row["model"], row["size"]) == panel]
        names = list(dict.fromkeys(map(variant, here)))
        for number, batch in enumerate(batches):
            bars = [row for row in here if row["batch"] == batch]
            at = np.array([names.index(variant(row)) for row in bars]) + (number + 0.5) * 0.8 / len(batches) - 0.4
            label = f"batch of {batch}" if place is axes[0] else None
            drawn = place.barh(
                at, [row["ms_per_image"] for row in bars], 0.76 / len(batches), color=COLORS[number], label=label
            )
            words = [f"{row['ratio_to_eager']:.2f}x" for row in bars]
            place.bar_label(drawn, words, padding=3, fontsize=7, color=INK)
        dress(place, "", "")
        place.set_title(f"{panel[0]}, {panel[1]} px", loc="left", fontsize=9, color=INK)
        place.set_yticks(range(len(names)), names)
        place.invert_yaxis()
        place.margins(x=0.14)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    figure.supxlabel("milliseconds an image; beside each bar, times as fast as torch fp32", fontsize=9, color=INK)
    figure.legend(loc="outside upper right", ncols=len(batches), frameon=False, fontsize=8)
    figure.suptitle(name, x=0.02, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure


def page() -> None:
    """The tables of every machine, between the marks of README.md."""
    readme = HERE / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    found = sorted(HERE.glob("*.json"))
    lines = [line for path in found for line in section(path.stem, json.loads(path.read_text(encoding="utf-8")))]
    readme.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def main(out: Path) -> None:
    """Take a machine's numbers in, and write its figure and the page."""
    results = {name: json.loads((out / f"{name}.json").read_text()) for name in ("speed", "end_to_end")}
    name = kind(results["speed"]["machine"])
    (HERE / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    picture(name, results["speed"]).savefig(HERE / f"{name}.png")
    page()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
