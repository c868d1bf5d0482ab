"""What a worker process does with one file: model input and a picture to show. Imports no torch."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.loader import Loader
from radvit.data.preprocess import Placement, Preprocess
from radvit.dicom.series import Slice, arrange
from radvit.errors import DeidError, GeometryError, RadvitError, ReasonedError
from radvit.inference.results import Picture
from radvit.laps import Laps
from radvit.pool import Died, out_of_memory
from radvit.records import FloatArray, Geometry, Header, Image

logger = logging.getLogger(__name__)

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
class DecodedFile:
    """The images of one file, or why there are none; the text does not name the file.

    seconds: spent on it. laps: the same by stage.
    """

    images: tuple[DecodedImage, ...]
    error: str | None
    seconds: float
    laps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecodedStudy:
    """All that could be read of a study. errors: (file, why) of those that couldn't; the text names no file."""

    study: str
    images: tuple[DecodedImage, ...]
    errors: tuple[tuple[Path, str], ...]
    seconds: float
    laps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileDecoder:
    """A file to its DecodedFile; a bad file is one without images. Can be pickled, for process pools."""

    loader: Loader
    preprocess: Preprocess

    def __call__(self, path: Path) -> DecodedFile:
        """Decode every image of one file."""
        start, laps = perf_counter(), Laps()
        try:
            images = tuple(self._prepare(image, laps) for image in self.loader.load(path, laps.passing()))
        except Exception as error:  # noqa: BLE001 - a hostile file may raise anything; it costs only itself
            return DecodedFile((), describe(error, path), perf_counter() - start, laps.seconds)
        return DecodedFile(images, None, perf_counter() - start, laps.seconds)

    def _prepare(self, image: Image, laps: Laps) -> DecodedImage:
        with laps.lap("tensor"):
            model_input, placement = self.preprocess.apply(image.pixels)
        with laps.lap("picture"):
            picture = shown(image.pixels)
        return DecodedImage(image.header, image.geometry, model_input, placement, picture)


def gather(
    studies: Iterable[StudyFiles], outcomes: Iterator[tuple[Path, DecodedFile | Died]]
) -> Iterator[DecodedStudy]:
    """Put files together again as studies. outcomes: of all the studies' files, one after another."""
    for files in studies:
        parts = [(path, _settled(path, outcome)) for path, outcome in islice(outcomes, len(files.paths))]
        images = tuple(image for _, part in parts for image in part.images)
        errors = tuple((path, part.error) for path, part in parts if part.error is not None)
        laps: Counter[str] = Counter()
        for _, part in parts:
            laps.update(part.laps)
        yield DecodedStudy(files.study, images, errors, sum(part.seconds for _, part in parts), laps)


def in_order(study: DecodedStudy) -> DecodedStudy:
    """A study series by series, the images of each in the order of the body; what a series lacks is logged."""
    series: dict[str, list[DecodedImage]] = {}
    for image in study.images:
        series.setdefault(image.header.series, []).append(image)
    ordered: list[DecodedImage] = []
    for name, members in series.items():
        slices = [Slice.of(image.geometry, image.header.instance_number, image.header.frame) for image in members]
        found = arrange(slices)
        ordered += [members[i] for i in found.order]
        if found.missing or found.repeated:
            logger.warning("series %s: %d slices missing, %d repeated", name, found.missing, found.repeated)
    return replace(study, images=tuple(ordered))


def _settled(path: Path, outcome: DecodedFile | Died) -> DecodedFile:
    return DecodedFile((), describe(outcome.error(), path), 0.0) if isinstance(outcome, Died) else outcome


def describe(error: Exception, path: Path) -> str:
    """Say what went wrong with a file without naming it: file names can hold a patient's name.

    An error radvit did not raise on purpose gives its type only; its words may quote the file.
    """
    if out_of_memory(error):
        error = Died("memory").error()
    if not isinstance(error, RadvitError):
        return f"error: {type(error).__name__}"
    reason = error.reason if isinstance(error, ReasonedError) else REASONS.get(type(error), "data")
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
    if reduced.shape != (size[1], size[0]):  # by less than a quarter four pixels are enough, at a fifth of the time
        how = cv2.INTER_LINEAR if size[1] > 0.75 * reduced.shape[0] else cv2.INTER_AREA
        reduced = cv2.resize(reduced, size, interpolation=how)
    return np.asarray(cv2.convertScaleAbs(reduced, alpha=255.0), dtype=np.uint8)
