"""Read a folder of DICOM files with a model: batched across studies, pooled, flat in memory, restartable."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.data.study_index import Place, StudyIndex
from radvit.dicom.read import find_files
from radvit.inference.decoding import DecodedImage, DecodedStudy, FileDecoder, StudyFiles, gather, in_order
from radvit.inference.manifest import Manifest, Row, State, open_manifest
from radvit.inference.protocols import Detector, Explain, Explained
from radvit.inference.results import Heat, ImageResult, Picture, StudyResult, Totals
from radvit.pool import DEFAULT_GUARD, Died, Guard, WorkerPool
from radvit.records import Boxes, FloatArray, Header

logger = logging.getLogger(__name__)

Refuse = Callable[[Header], str | None]
Finish = Callable[[StudyResult], None]
Written = Callable[[str], "tuple[int, tuple[str, ...]] | None"]  # study -> its images and refusals, if it is on disk
Progress = Callable[[int, int], None]

HEADERS_AHEAD = 64  # header reads under way, per worker
FILES_AHEAD = 3  # files being decoded or decoded already, per worker
STUDIES_AHEAD = 3  # studies whose files are being written, per worker


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


def predict_folder(
    input: Path,
    output: Path,
    loader: Loader,
    preprocess: Preprocess,
    detector: Detector,
    refuse: Refuse,
    finish: Finish,
    workers: int = 2,
    batch_size: int = 8,
    progress: Progress | None = None,
    written: Written = lambda _: None,
    guard: Guard = DEFAULT_GUARD,
    explain: Explain | None = None,
) -> Totals:
    """Read every study under `input`; `finish` writes each one's files, and output/manifest.csv gets its row.

    refuse: why an image is outside the model's scope, or None. finish: runs in worker processes, so it must pickle and
    should import no torch; it writes all of a study's files or none. Studies that an earlier run ended are skipped,
    failed ones are tried again. written: what a run that was killed left whole without having put it on the manifest;
    such a study gets its row and is not read again. progress: called with (studies ended, studies in all). guard: what
    reading one file may take in a worker process; a file that takes more, or ends its process, costs only itself.
    explain: where a classifier looked; an image of which it can't be told keeps its scores.
    A file that can't be read is named on the log alone, never in the manifest: a file's name can be a patient's.
    """
    start = perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    tally: Counter[str] = Counter()
    preload = (FileDecoder.__module__, finish.__module__)
    with open_manifest(output) as manifest, WorkerPool(workers, guard, preload) as pool:
        index = StudyIndex(loader.pseudonymizer, loader.limits, loader.selection)
        studies, tally["unselected"] = list_studies(_inputs(input, output), index, pool, workers)
        todo = [files for files in studies if files.study not in manifest.ended]
        todo = [files for files in todo if not recovered(manifest, files.study, written)]
        tally["skipped"] = len(studies) - len(todo)
        paths = (path for files in todo for path in files.paths)
        outcomes = pool.ordered(FileDecoder(loader, preprocess), paths, FILES_AHEAD * max(1, workers))
        screened = (screen(study, refuse) for study in _tallied(map(in_order, gather(todo, outcomes)), tally))
        looked = look(screened, detector, preprocess, batch_size, explain)
        ahead = STUDIES_AHEAD * max(1, workers)
        for item, outcome in pool.ordered(partial(finish_study, finish), looked, ahead, guarded=False):
            row = _died(item, outcome) if isinstance(outcome, Died) else outcome
            manifest.append(row)
            tally[row.state.value] += 1
            if progress:
                progress(sum(tally[state.value] for state in State) + tally["skipped"], len(studies))
    return Totals(**tally, seconds=perf_counter() - start)


def recovered(manifest: Manifest, study: str, written: Written) -> bool:
    """Put a study on the manifest whose files a killed run had written already; False where it had not."""
    left = written(study)
    if left is not None:
        manifest.append(Row(study, State.DONE, 0.0, left[0], summary(left[1])))
    return left is not None


def list_studies(paths: list[Path], index: StudyIndex, pool: WorkerPool, workers: int) -> tuple[list[StudyFiles], int]:
    """Group files by study, in the order in which each study is first met, and count those not selected; reads headers.

    A file that names no study stands alone as `file-N`, N being its place, from 1, among all the files.
    """
    groups: dict[str, list[Path]] = {}
    unselected = 0
    numbered = enumerate(pool.ordered(index.place, paths, HEADERS_AHEAD * max(1, workers)), start=1)
    for number, (path, outcome) in numbered:
        place = Place(None) if isinstance(outcome, Died) else outcome
        if place.selected:
            groups.setdefault(place.study or f"file-{number}", []).append(path)
        else:
            unselected += 1
    return [StudyFiles(study, tuple(members)) for study, members in groups.items()], unselected


def screen(study: DecodedStudy, refuse: Refuse) -> Screened:
    """Leave out the images the model may not be asked about, and end a study that has no others."""
    unread = tuple(why for _, why in study.errors)
    verdicts = [refuse(image.header) for image in study.images]
    outside = tuple(why for why in verdicts if why is not None)
    images = tuple(image for image, why in zip(study.images, verdicts, strict=True) if why is None)
    ended = None
    if not images:
        state = State.FAILED if unread or not outside else State.REFUSED
        why = summary((*unread, *outside)) or "no-images: the files hold no image"
        ended = Row(study.study, state, study.seconds, 0, why)
    return Screened(study.study, images, (*unread, *outside), study.seconds, ended)


def look(
    studies: Iterable[Screened],
    detector: Detector,
    preprocess: Preprocess,
    batch_size: int,
    explain: Explain | None = None,
) -> Iterator[Read | Row]:
    """Run the model over studies, batched across them; order kept."""
    for group in _groups(studies, batch_size):
        start = perf_counter()
        images = [image for study in group for image in study.images]
        answers = list(_answers(images, detector, preprocess, batch_size, explain))
        each = (perf_counter() - start) / max(1, len(images))
        for study in group:
            if study.ended:
                yield study.ended
                continue
            results, answers = tuple(answers[: len(study.images)]), answers[len(study.images) :]
            result = StudyResult(study.study, results, study.refused)
            yield Read(result, study.seconds + each * len(results))


def finish_study(finish: Finish, item: Read | Row) -> Row:
    """Write a study's files, in a worker process, and give its row of the manifest."""
    if isinstance(item, Row):
        return item
    start = perf_counter()
    result = item.result
    try:
        finish(result)
    except Exception as error:  # noqa: BLE001 - one study's report must not end the run; words may hold a path
        words = f": {error.strerror}" if isinstance(error, OSError) else ""  # strerror names no file
        return Row(result.study, State.FAILED, item.seconds, 0, f"report: {type(error).__name__}{words}")
    seconds = item.seconds + perf_counter() - start
    return Row(result.study, State.DONE, seconds, len(result.images), summary(result.refused))


def summary(reasons: tuple[str, ...]) -> str:
    """One line out of many reasons, each with its number where it is not alone."""
    counts = Counter(reasons)
    return "; ".join(why if n == 1 else f"{n} x {why}" for why, n in counts.items())


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


def _inputs(source: Path, output: Path) -> list[Path]:
    """The files to read; what earlier runs wrote below the input is not input."""
    inside = output.resolve()
    return [path for path in find_files(source) if not path.resolve().is_relative_to(inside)]


def _tallied(studies: Iterable[DecodedStudy], tally: Counter[str]) -> Iterator[DecodedStudy]:
    """Log the files that couldn't be read and count them."""
    for study in studies:
        tally["files_failed"] += len(study.errors)
        for path, why in study.errors:
            logger.warning("%s: %s", path, why)
        yield study


def _groups(studies: Iterable[Screened], size: int) -> Iterator[list[Screened]]:
    """Studies in groups of at least `size` images, and never more than `size` studies."""
    group: list[Screened] = []
    for study in studies:
        group.append(study)
        if len(group) >= size or sum(len(member.images) for member in group) >= size:
            yield group
            group = []
    if group:
        yield group


def _answers(
    images: list[DecodedImage], detector: Detector, preprocess: Preprocess, batch_size: int, explain: Explain | None
) -> Iterator[ImageResult]:
    """The model's answer for each image, from batches of nearly equal size."""
    n_batches = -(-len(images) // batch_size)
    for part in np.array_split(np.arange(len(images)), n_batches) if images else ():
        batch = [images[i] for i in part]
        stack: FloatArray = np.stack([image.model_input for image in batch])[:, None].astype(np.float32)  # (B, 1, S, S)
        normal = preprocess.normalise(stack)
        scores, boxes = detector(normal)
        for image, pixels, row, found in zip(batch, normal, scores, boxes, strict=True):
            seen = None if explain is None else _explained(explain, pixels, row)
            placed, heat = to_image(found if seen is None else seen.boxes, image), None
            if seen is not None:
                heat = Heat(over_picture(seen.heat, image), seen.label)
            yield ImageResult(image.header, image.geometry, tuple(map(float, row)), placed, image.picture, heat)


def _explained(explain: Explain, pixels: FloatArray, scores: FloatArray) -> Explained | None:
    try:
        return explain(pixels, scores)
    except Exception as error:  # noqa: BLE001 - a map that can't be made must not cost the study its scores
        logger.warning("no map of where the model looked: %s", type(error).__name__)
        return None


def _died(item: Read | Row, died: Died) -> Row:
    study = item.study if isinstance(item, Row) else item.result.study
    return Row(study, State.FAILED, 0.0, 0, f"{died.reason}: writing its report ended the worker process")
