"""How much planted text is found in radiographs, how much of the rest is overwritten, and how long it takes."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radvit.bench.machine import machine, one_thread
from radvit.bench.planted import CHINESE_KINDS, KINDS, Kind, Planted, found, plant
from radvit.data.phantom import CohortSpec, write_cohort
from radvit.deid.burned_in import BurnedIn, Depth, Mode, blank_burned_in
from radvit.dicom.pixels import StoredArray, decode
from radvit.dicom.read import find_files, read
from radvit.errors import ConfigError, DataError, DicomReadError

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "rapidocr")
TEXTLESS = "no text"
_TESSERACT_CONFIDENCE = 30

_Flags = npt.NDArray[np.bool_]
_Box = tuple[int, int, int, int]
_Method = Callable[["_Picture"], list[_Box]]


@dataclass(frozen=True, slots=True)
class Row:
    """One way of looking at one kind of text. found: of so many lines. regions: overwritten in an image, on average.

    other_percent: of the pixels outside of the planted lines that the regions cover. ms: median of an image.
    """

    method: str
    kind: str
    lines: int
    found: int
    regions: float
    other_percent: float
    ms: float


@dataclass(frozen=True, slots=True)
class _Picture:
    """pixels: (rows, columns), as stored. source: the header of the image that they came from."""

    pixels: StoredArray
    source: Dataset


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured."""

    rows: list[Row]
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"rows": [asdict(row) for row in self.rows], "machine": self.machine}


def measure(path: Path | None, images: int, chinese: Path | None, rivals: bool, seed: int = 0) -> Measured:
    """Plant text of every kind into images, and look for it in every way.

    path: a file or folder whose images are used too, once what text they hold is overwritten. images: phantom
    radiographs. chinese: a font with Chinese letters, without which none are planted. rivals: also the OCR engines that
    are installed. Raises DataError where an image can't be read, ConfigError where the font is missing.
    """
    if chinese is not None and not chinese.is_file():
        raise ConfigError(f"{chinese} is no file; expected a font with Chinese letters")
    kinds = (*KINDS, *(CHINESE_KINDS if chinese else ()))
    methods = _methods() | (_rivals() if rivals else {})
    with one_thread():
        pictures = [*(_own(path) if path else ()), *_phantoms(images, seed)]
        rows = [_row(name, method, None, pictures, chinese, seed) for name, method in methods.items()]
        rows += [_row(name, m, kind, pictures, chinese, seed) for kind in kinds for name, m in methods.items()]
    return Measured(rows, machine(PACKAGES))


def _row(
    name: str, method: _Method, kind: Kind | None, pictures: list[_Picture], chinese: Path | None, seed: int
) -> Row:
    lines, hits, regions, shares, seconds = 0, 0, 0, [], []
    for number, picture in enumerate(pictures):
        planted: list[Planted] = []
        if kind is not None:
            rng = np.random.default_rng([seed, number])
            pixels, planted = plant(picture.pixels, kind, rng, chinese)
            picture = _Picture(pixels, picture.source)
        started = time.perf_counter()
        boxes = method(picture)
        seconds.append(time.perf_counter() - started)
        covered = _mask(boxes, picture.pixels.shape)
        lines, hits, regions = lines + len(planted), hits + found(planted, covered), regions + len(boxes)
        shares.append(100 * float(covered[~_mask([_box(line) for line in planted], covered.shape)].mean()))
    return Row(
        name,
        kind.name if kind else TEXTLESS,
        lines,
        hits,
        regions / len(pictures),
        float(np.mean(shares)),
        1e3 * float(np.median(seconds)),
    )


def _methods() -> dict[str, _Method]:
    quick, thorough = (BurnedIn(Mode.ALWAYS, depth, allow_none=True) for depth in (Depth.QUICK, Depth.THOROUGH))
    return {
        "quick": lambda p: list(blank_burned_in(p.pixels[None], p.source, quick).regions[0]),
        "thorough": lambda p: list(blank_burned_in(p.pixels[None], p.source, thorough).regions[0]),
    }


def _rivals() -> dict[str, _Method]:
    """The OCR engines that are installed, as they come, each on the image stretched to 8 bits."""
    found: dict[str, _Method] = {}
    try:
        from rapidocr import RapidOCR
    except ImportError:
        pass
    else:
        threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"}
        engine = RapidOCR(params=threads)
        found["rapidocr"] = lambda p: _rapid(engine, p)
    if shutil.which("tesseract"):
        found["tesseract"] = _tesseract
    return found


def _rapid(engine: Any, picture: _Picture) -> list[_Box]:
    boxes = engine(cv2.cvtColor(_eight_bits(picture.pixels), cv2.COLOR_GRAY2BGR)).boxes
    return [_ints(cv2.boundingRect(np.float32(box))) for box in (() if boxes is None else boxes)]


def _tesseract(picture: _Picture) -> list[_Box]:
    """Sparse text, as the program reports it word by word."""
    _, png = cv2.imencode(".png", _eight_bits(picture.pixels))
    command = ["tesseract", "stdin", "stdout", "--psm", "11", "-l", "eng+chi_sim", "tsv"]
    answer = subprocess.run(command, input=png.tobytes(), capture_output=True, check=True).stdout.decode()
    words = csv.DictReader(io.StringIO(answer), delimiter="\t", quoting=csv.QUOTE_NONE)
    good = (word for word in words if (word["text"] or "").strip() and float(word["conf"]) >= _TESSERACT_CONFIDENCE)
    return [_ints([word[side] for side in ("left", "top", "width", "height")]) for word in good]


def _own(path: Path) -> list[_Picture]:
    """The images of files, with their own text overwritten."""
    option = BurnedIn(Mode.ALWAYS, Depth.THOROUGH, allow_none=True)
    found = []
    for file in find_files(path):
        try:
            source = read(file)
            found += [_Picture(frame, source) for frame in blank_burned_in(decode(source), source, option).pixels]
        except DicomReadError:
            continue
    if not found:
        raise DataError(f"{path} holds no image; expected DICOM files")
    return found


def _phantoms(images: int, seed: int) -> list[_Picture]:
    """Phantom radiographs into which no identity was burned; most hold a side marker."""
    with TemporaryDirectory(prefix="radvit-bench-") as folder:
        write_cohort(Path(folder), CohortSpec.preset(images + 2, seed), 1, lambda done, total: None)
        files = sorted(Path(folder).rglob("*.dcm"))
        sources = [source for source in map(read, files) if source.BurnedInAnnotation != "YES"][:images]
        return [_Picture(decode(source)[0], source) for source in sources]


def _eight_bits(pixels: StoredArray) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.normalize(pixels.astype(np.float32), None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U))


def _mask(boxes: list[_Box], shape: tuple[int, ...]) -> _Flags:
    mask = np.zeros(shape, bool)
    for left, top, width, height in boxes:
        mask[max(top, 0) : top + height, max(left, 0) : left + width] = True
    return mask


def _box(line: Planted) -> _Box:
    rows, columns = line.window
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _ints(box: Any) -> _Box:
    left, top, width, height = (int(v) for v in box)
    return left, top, width, height
