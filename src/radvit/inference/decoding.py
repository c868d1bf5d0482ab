"""What a worker process does with one study: files to model input and a picture to show. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.loader import Loader
from radvit.data.preprocess import Placement, Preprocess
from radvit.errors import DeidError, DicomReadError, GeometryError, RadvitError
from radvit.inference.results import Picture
from radvit.records import FloatArray, Geometry, Header, Image

LARGEST_PICTURE_PX = 1024
REASONS: dict[type[Exception], str] = {DeidError: "deid", GeometryError: "geometry"}


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The files of one study. study: its pseudonym, or `file-N` for a file that names none."""

    study: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image ready for the model. model_input: (S, S) float16 in [0, 1]. picture: see ImageResult."""

    header: Header
    geometry: Geometry
    model_input: npt.NDArray[np.float16]
    placement: Placement
    picture: Picture


@dataclass(frozen=True, slots=True)
class DecodedStudy:
    """All that could be read of a study. errors: (file, why) of those that couldn't; the text names no file."""

    study: str
    images: tuple[DecodedImage, ...]
    errors: tuple[tuple[Path, str], ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class StudyDecoder:
    """Files to DecodedStudy; one bad file costs only itself."""

    loader: Loader
    preprocess: Preprocess

    def __call__(self, files: StudyFiles) -> DecodedStudy:
        """Decode every file of a study, one after another."""
        start = perf_counter()
        images: list[DecodedImage] = []
        errors: list[tuple[Path, str]] = []
        for path in files.paths:
            try:
                images += [self._prepare(image) for image in self.loader.load(path)]
            except Exception as error:  # noqa: BLE001 - a hostile file may raise anything; it costs only itself
                errors.append((path, describe(error, path)))
        return DecodedStudy(files.study, tuple(images), tuple(errors), perf_counter() - start)

    def _prepare(self, image: Image) -> DecodedImage:
        model_input, placement = self.preprocess.apply(image.pixels)
        return DecodedImage(image.header, image.geometry, model_input, placement, shown(image.pixels))


def describe(error: Exception, path: Path) -> str:
    """Say what went wrong with a file without naming it: file names can hold a patient's name.

    An error radvit did not raise on purpose gives its type only; its words may quote the file.
    """
    if not isinstance(error, RadvitError):
        return f"error: {type(error).__name__}"
    reason = error.reason if isinstance(error, DicomReadError) else REASONS.get(type(error), "data")
    text = str(error)
    for name in (str(path.resolve()), str(path), path.name):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "the file", text)
    return f"{reason}: {text}"


def shown(pixels: FloatArray, largest_px: int = LARGEST_PICTURE_PX) -> Picture:
    """Reduce an image to at most `largest_px` on its longer side, for showing.

    pixels: (rows, columns) float32 in [0, 1]. Returns uint8 of the same aspect.
    """
    rows, columns = pixels.shape
    factor = min(1.0, largest_px / max(rows, columns))
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    reduced = pixels
    while reduced.shape[0] >= 2 * size[1] and reduced.shape[1] >= 2 * size[0]:  # exact halving is far the fastest
        even = reduced[: reduced.shape[0] // 2 * 2, : reduced.shape[1] // 2 * 2]
        reduced = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if reduced.shape != (size[1], size[0]):
        reduced = cv2.resize(reduced, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.convertScaleAbs(reduced, alpha=255.0), dtype=np.uint8)
