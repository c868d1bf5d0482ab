"""The model over decoded studies: batches that reach across them, and its answers put together again, in order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from radvit.data.preprocess import Preprocess
from radvit.inference.batch_size import BatchSize
from radvit.inference.decoding import DecodedImage
from radvit.inference.manifest import Row
from radvit.inference.protocols import Detector, Explain, Explained
from radvit.inference.results import Heat, ImageResult, Picture, StudyResult
from radvit.inference.timing import Stopwatch
from radvit.records import Boxes, FloatArray

logger = logging.getLogger(__name__)

MOST_WAITING = 32  # studies that may wait for a batch to fill


@dataclass(frozen=True, slots=True)
class Screened:
    """A decoded study of which only the images inside the model's scope are left.

    refused: sentences for the manifest and the report. ended: its row where nothing is left to look at.
    """

    study: str
    images: tuple[DecodedImage, ...]
    refused: tuple[str, ...]
    seconds: float
    ended: Row | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A study the model has looked at; seconds: time spent on it so far."""

    result: StudyResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Images in order, and the studies that have come since the batch before; their images may be in later ones.

    pixels: (B, 1, S, S) float32, normalised; B may be 0.
    """

    studies: tuple[Screened, ...]
    images: tuple[DecodedImage, ...]
    pixels: FloatArray


@dataclass(frozen=True, slots=True)
class Answered:
    """What the model says of one image. scores: (K,). boxes: model pixels. seconds: its part of the batch's time."""

    image: DecodedImage
    scores: FloatArray
    boxes: Boxes
    seen: Explained | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch's studies, and the answers to its images."""

    studies: tuple[Screened, ...]
    answers: tuple[Answered, ...]


def batches(studies: Iterable[Screened], preprocess: Preprocess, size: Callable[[], int]) -> Iterator[Batch]:
    """Images in batches of `size`, which is asked each time; fewer at the end, or where many studies have none."""
    arrived: list[Screened] = []
    waiting: deque[DecodedImage] = deque()
    for study in studies:
        arrived.append(study)
        waiting.extend(study.images)
        while len(waiting) >= size() or (arrived and (not waiting or len(arrived) >= MOST_WAITING)):
            yield _batch(arrived, waiting, size(), preprocess)
            arrived = []
    while waiting or arrived:
        yield _batch(arrived, waiting, size(), preprocess)
        arrived = []


def look(
    loaded: Iterable[Batch],
    detector: Detector,
    size: BatchSize,
    watch: Stopwatch,
    explain: Explain | None = None,
    ready: Callable[[], object] = lambda: None,
) -> Iterator[Looked]:
    """Run the model over batches; order kept. ready: returns once the model can be called, on whose time it isn't."""

    def answer(pixels: FloatArray) -> tuple[FloatArray, list[Boxes], list[Explained | None], float]:
        began = watch.begin_call()
        scores, boxes = detector(pixels)
        seen = [None if explain is None else _explained(explain, *one) for one in zip(pixels, scores, strict=True)]
        return scores, boxes, seen, watch.end_call(began, len(pixels))

    for batch in loaded:
        answers: list[Answered] = []
        ready()
        for (scores, boxes, seen, seconds), count in size.run(answer, batch.pixels):
            images = batch.images[len(answers) : len(answers) + count]
            parts = zip(images, scores, boxes, seen, strict=True)
            answers += [Answered(*part, seconds / count) for part in parts]
        yield Looked(batch.studies, tuple(answers))


def together(looked: Iterable[Looked], watch: Stopwatch) -> Iterator[Read | Row]:
    """Answers put together as studies, in the order in which the studies came; each as soon as it is whole."""
    studies: deque[Screened] = deque()
    answers: deque[Answered] = deque()
    for batch in looked:
        studies.extend(batch.studies)
        answers.extend(batch.answers)
        while studies and len(studies[0].images) <= len(answers):
            study = studies.popleft()
            if study.ended:
                yield study.ended
                continue
            with watch.laps.lap("findings"):
                own = [answers.popleft() for _ in study.images]
                result = StudyResult(study.study, tuple(map(_result, own)), study.refused)
            yield Read(result, study.seconds + sum(one.seconds for one in own))


def to_image(boxes: Boxes, image: DecodedImage) -> Boxes:
    """Boxes from model pixels to pixels of the stored image, cut off at its border; boxes outside it are left out."""
    if not len(boxes):
        return boxes
    size = np.array([image.geometry.columns, image.geometry.rows] * 2, np.float32)
    xyxy = np.clip(image.placement.to_image(boxes.xyxy), 0, size).astype(np.float32)
    inside = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    return Boxes(xyxy[inside], boxes.scores[inside], boxes.labels[inside])


def over_picture(heat: FloatArray, image: DecodedImage) -> Picture:
    """A map in model pixels laid over an image's picture. heat: (S, S) in [0, 1]. Returns uint8 as large as that."""
    rows, columns = image.picture.shape
    per_pixel = np.array([image.geometry.columns / columns, image.geometry.rows / rows])  # of the picture, in the image
    scale = image.placement.scale * per_pixel
    offset = np.array([image.placement.left, image.placement.top]) + 0.5 * scale - 0.5  # pixel centres onto each other
    matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(heat, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(laid, alpha=255.0), dtype=np.uint8)


def _batch(arrived: list[Screened], waiting: deque[DecodedImage], size: int, preprocess: Preprocess) -> Batch:
    images = tuple(waiting.popleft() for _ in range(min(size, len(waiting))))
    if not images:
        return Batch(tuple(arrived), (), np.zeros((0, 1, 1, 1), np.float32))
    stack: FloatArray = np.stack([image.model_input for image in images])[:, None].astype(np.float32)  # (B, 1, S, S)
    return Batch(tuple(arrived), images, preprocess.normalise(stack))


def _result(answer: Answered) -> ImageResult:
    image, seen = answer.image, answer.seen
    placed = to_image(answer.boxes if seen is None else seen.boxes, image)
    heat = None if seen is None else Heat(over_picture(seen.heat, image), seen.label)
    return ImageResult(image.header, image.geometry, tuple(map(float, answer.scores)), placed, image.picture, heat)


def _explained(explain: Explain, pixels: FloatArray, scores: FloatArray) -> Explained | None:
    try:
        return explain(pixels, scores)
    except Exception as error:  # noqa: BLE001 - a map that can't be made must not cost the study its scores
        logger.warning("no map of where the model looked: %s", type(error).__name__)
        return None
