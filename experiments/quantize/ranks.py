"""How INT8 ranks a split's images beside FP32, and how large its file is: ranks.py RUN [RUN ...] [--split val].

Prints a JSON list: for each run the Spearman correlation of each output (logits of images; of a detector all places
of its maps), the size of the INT8 file over that of the FP32 file, and times of one interleaved run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from radvit import assemble
from radvit.bundle import QUANTIZATION, load_bundle
from radvit.data.splits import load_splits
from radvit.evaluation.predict import model_input
from radvit.inference.engine import open_engine
from radvit.inference.precision import ONNX_FILES
from radvit.run.folder import SPLITS, saved_config

BATCH = 8


def measured(run: Path, split: str) -> dict[str, Any]:
    """What is said of one run."""
    bundle = load_bundle(run)
    saved = saved_config(run)
    cohort = assemble.cohort(saved.data, bundle.preprocess, saved.deid, saved.read)
    indices = load_splits(run / SPLITS, cohort.samples)[split]
    engines = {name: open_engine(bundle, name) for name in ("fp32", "int8")}
    outputs: dict[str, dict[str, list[Any]]] = {name: {} for name in engines}
    for start in range(0, len(indices), BATCH):
        images = model_input(cohort, indices[start : start + BATCH], bundle.preprocess)
        for name, engine in engines.items():
            for key, value in engine(images).items():
                outputs[name].setdefault(key, []).append(value)
    ranks = {
        key: float(spearmanr(*(np.concatenate(outputs[name][key]).ravel() for name in engines)).statistic)
        for key in outputs["fp32"]
    }
    record = json.loads((bundle.folder / QUANTIZATION).read_text(encoding="utf-8"))
    size = [(bundle.folder / ONNX_FILES[name]).stat().st_size for name in ("int8", "onnx")]
    return {
        "model": bundle.name,
        "backbone": bundle.spec.backbone.name,
        "px": bundle.preprocess.size,
        "images": len(indices),
        "recipe": record["recipe"],
        "rank_correlation": ranks,
        "file_share": size[0] / size[1],
        "ms_per_image": record["ms_per_image"],
        "precisions": record["precisions"],
        "machine": record["machine"],
    }


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    asked.add_argument("--split", default="val")
    arguments = asked.parse_args()
    sys.stdout.write(json.dumps([measured(run, arguments.split) for run in arguments.runs], indent=2) + "\n")
