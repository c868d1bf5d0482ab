"""What the predictor hands on: one study's images with what the model said about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.records import Boxes, Geometry, Header

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image and the model's answer.

    scores: calibrated probability of each label for the whole image. boxes: pixels of the stored image, calibrated
    scores. picture: (rows, columns) uint8, the image reduced for showing; aspect as stored.
    """

    header: Header
    geometry: Geometry
    scores: tuple[float, ...]
    boxes: Boxes
    picture: Picture


@dataclass(frozen=True, slots=True)
class StudyResult:
    """One study. study: its pseudonym, or `file-N` for a file that names none. refused: why images were not read."""

    study: str
    images: tuple[ImageResult, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """How a run ended, in studies. files_failed: files that couldn't be read, also those of studies that are done.

    unselected: files that the selection rules leave out.
    """

    done: int = 0
    failed: int = 0
    refused: int = 0
    skipped: int = 0
    files_failed: int = 0
    unselected: int = 0
    seconds: float = 0.0
