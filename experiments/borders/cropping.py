"""A copy of a run's bundle that crops empty borders: python cropping.py RUN OUT."""

import json
import shutil
import sys
from pathlib import Path

from radvit.bundle import RECORD, load_bundle


def main() -> None:
    """Copy the weights and their record, and set crop_border in it."""
    source, out = load_bundle(Path(sys.argv[1])), Path(sys.argv[2])
    shutil.copytree(
        source.folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.onnx", "quantization.json")
    )
    record = json.loads((out / RECORD).read_text())
    record["preprocess"]["crop_border"] = True
    (out / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    load_bundle(out)


if __name__ == "__main__":
    main()
