"""Draw docs/img/deid.png: the top of the radiograph with made-up identity, before and after `radvit deid`."""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pydicom

ROWS, WIDTH, GAP = 300, 1100, 10


def main() -> None:
    """Take the folder with the radiograph and the picture's path."""
    source, target = Path(sys.argv[1]) / "cr_chest_synthetic_phi.dcm", Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        given, out = scratch / "in", scratch / "out"
        given.mkdir()
        (given / source.name).write_bytes(source.read_bytes())
        subprocess.run(["radvit", "deid", "in", "out"], cwd=scratch, check=True)
        (copy,) = out.glob("*/*.dcm")
        before, after = _top(source), _top(copy)
    between = np.full((GAP, before.shape[1]), 255, dtype=np.uint8)
    cv2.imwrite(str(target), np.concatenate([before, between, after]), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _top(path: Path) -> npt.NDArray[np.uint8]:
    """The upper rows as a radiologist sees them (MONOCHROME1 inverted), 8 bits, narrowed to `WIDTH`."""
    ds = pydicom.dcmread(path)
    pixels = ds.pixel_array[:ROWS].astype(np.float64)
    shown = 255 - 255 * pixels / (2**ds.BitsStored - 1)
    size = (WIDTH, round(ROWS * WIDTH / pixels.shape[1]))
    return cv2.resize(shown.astype(np.uint8), size, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
