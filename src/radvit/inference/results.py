"""What the predictor hands on: one study's images with what the model said about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.inference.timing import Timing
from radvit.records import Boxes, Geometry, Header

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Heat:
    """Where a classifier looked, laid over a picture.

    values: (rows, columns) uint8, as the picture; 0 where it looked least, 255 where most; all 0 for a flat map.
    label: number of the class the map belongs to; None for a map without a class.
    """

    values: Picture
    label: int | None

    @property
    def is_flat(self) -> bool:
        """Whether the map says nothing."""
        return not self.values.any()


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image and the model's answer.

    scores: calibrated probability of each label for the whole image. boxes: pixels of the stored image, calibrated
    scores. picture: (rows, columns) uint8, the image reduced for showing; aspect as stored. heat: where a classifier
    looked, which its boxes were then drawn around; None where that was not asked for or could not be told.
    """

    header: Header
    geometry: Geometry
    scores: tuple[float, ...]
    boxes: Boxes
    picture: Picture
    heat: Heat | None = None

    @property
    def is_mapped(self) -> bool:
        """Whether it is known where a classifier looked."""
        return self.heat is not None and not self.heat.is_flat


@dataclass(frozen=True, slots=True)
class StudyResult:
    """One study. study: its pseudonym, or `file-N` for a file that names none. refused: why images were not read."""

    study: str
    images: tuple[ImageResult, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """How a run ended, in studies. files_failed: files that couldn't be read, also those of studies that are done.

    unselected: files that the selection rules leave out. timing: None where the model was not asked.
    """

    done: int = 0
    failed: int = 0
    refused: int = 0
    skipped: int = 0
    files_failed: int = 0
    unselected: int = 0
    seconds: float = 0.0
    timing: Timing | None = None
