"""The conformance corpus: a small file for each way in which DICOM stores and maps grey values, and what it must show.

Values are drawn from a fixed seed, written through every transfer syntax by encoders that radvit does not decode with
(imagecodecs and the slow ones here), and mapped by formulas worked out one value at a
time. The hash of what radvit shows of each lossless case stands in golden.json, so that no change of a pixel goes
unseen.

    python tests/dicom/corpus.py --write    # after a change that is meant to show
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from corpus_files import Case
from corpus_maps import enhanced_cases, presentation_cases, table_cases, windows_cases
from corpus_syntaxes import codec_cases, colour_cases, native_cases

from radvit.data.loader import Loader
from radvit.deid.burned_in import BurnedIn, Mode
from radvit.deid.pseudonym import Pseudonymizer

GOLDEN = Path(__file__).with_name("golden.json")
DECIMALS = 4  # of a grey value in a hash: before the digits in which processors may differ


def cases() -> Iterator[Case]:
    """All of them."""
    for kind in (native_cases, codec_cases, colour_cases):
        yield from kind()
    for kind in (windows_cases, table_cases, presentation_cases, enhanced_cases):
        yield from kind()


def shown(case: Case, folder: Path) -> np.ndarray:
    """What radvit shows of a case, from the file on, as in training and inference: (frames, rows, columns) float32."""
    path = folder / "case.dcm"
    case.dataset.save_as(path, enforce_file_format=True)
    loader = Loader(Pseudonymizer(b"k" * 32), burned_in=BurnedIn(Mode.OFF), voi=case.voi)
    return np.stack([image.pixels for image in loader.load(path)])


def digest(grey: np.ndarray) -> str:
    """Hash of rounded grey values and their shape."""
    rounded = np.rint(grey.astype(np.float64) * 10**DECIMALS).astype("<i4")
    return hashlib.sha256(repr(grey.shape).encode() + rounded.tobytes()).hexdigest()


def write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {case.name: digest(shown(case, Path(folder))) for case in cases() if not case.tolerance}
    GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        raise SystemExit(__doc__)
    write()
