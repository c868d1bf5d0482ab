"""Read a folder of DICOM files with a model: batched across studies, pooled, flat in memory, restartable.

Four things go on at once: worker processes decode files and write reports; a thread makes batches of what was decoded;
another has the model look at them; the caller's own puts answers together, hands them to the workers and keeps the
manifest. Between them is room for little, so that whoever is ahead waits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.data.study_index import Place, StudyIndex
from radvit.dicom.read import find_files
from radvit.errors import UntrueReportError
from radvit.inference.batch_size import BatchSize
from radvit.inference.decoding import DecodedStudy, FileDecoder, StudyFiles, gather, in_order
from radvit.inference.looking import Read, Screened, batches, look, together
from radvit.inference.manifest import Manifest, Row, State, open_manifest
from radvit.inference.protocols import Detector, Explain
from radvit.inference.results import StudyResult, Totals
from radvit.inference.stages import Stages
from radvit.inference.timing import Stopwatch
from radvit.pool import DEFAULT_GUARD, Died, Guard, WorkerPool
from radvit.records import Header

logger = logging.getLogger(__name__)

Refuse = Callable[[Header], str | None]
Finish = Callable[[StudyResult], None]
Written = Callable[[str], "tuple[int, tuple[str, ...]] | None"]  # study -> its images and refusals, if it is on disk
Progress = Callable[[int, int], None]

HEADERS_AHEAD = 64  # header reads under way, per worker
FILES_AHEAD = 3  # files being decoded or decoded already, per worker
BATCHES_AHEAD = 2  # batches that wait for the model, and those that it has answered
STUDIES_AHEAD = 3  # studies whose files are being written, per worker
NICENESS = 10  # of worker processes: what they do is needed later than what the model does


def predict_folder(
    input: Path,
    output: Path,
    loader: Loader,
    preprocess: Preprocess,
    detector: Detector,
    refuse: Refuse,
    finish: Finish,
    workers: int = 2,
    batch_size: int | None = 8,
    progress: Progress | None = None,
    written: Written = lambda _: None,
    guard: Guard = DEFAULT_GUARD,
    explain: Explain | None = None,
    ready: Callable[[], object] = lambda: None,
) -> Totals:
    """Read every study under `input`; `finish` writes each one's files, and output/manifest.csv gets its row.

    detector, explain: are called in a thread of their own, after `ready`, which may wait until they can be. explain:
    where a classifier looked; an image of which it can't be told keeps its scores. refuse: why an image is outside the
    model's scope, or None. finish: runs in worker processes, so it must pickle and should import no torch; it writes
    all of a study's files or none. Studies that an earlier run ended are skipped, failed ones are tried again.
    written: what a run that was killed left whole without having put it on the manifest; such a study gets its row and
    is not read again. batch_size: None for what memory holds, see BatchSize. progress: called with (studies ended,
    studies in all). guard: what reading one file may take in a worker process; a file that takes more, or ends its
    process, costs only itself.
    A file that can't be read is named on the log alone, never in the manifest: a file's name can be a patient's.
    """
    start, watch, size = perf_counter(), Stopwatch(), BatchSize(batch_size)
    output.mkdir(parents=True, exist_ok=True)
    tally: Counter[str] = Counter()
    preload = (FileDecoder.__module__, finish.__module__)
    with open_manifest(output) as manifest, Stages() as stages, WorkerPool(workers, guard, preload, NICENESS) as pool:
        index = StudyIndex(loader.pseudonymizer, loader.limits, loader.selection)
        with watch.laps.lap("headers"):
            studies, tally["unselected"] = list_studies(_inputs(input, output), index, pool, workers)
        todo = [files for files in studies if files.study not in manifest.ended]
        todo = [files for files in todo if not recovered(manifest, files.study, written)]
        tally["skipped"] = len(studies) - len(todo)
        paths = (path for files in todo for path in files.paths)
        outcomes = pool.ordered(FileDecoder(loader, preprocess), paths, FILES_AHEAD * max(1, workers))
        screened = (screen(study, refuse) for study in _tallied(map(in_order, gather(todo, outcomes)), tally, watch))
        loaded = stages.ahead("batches", batches(screened, preprocess, lambda: size.size), BATCHES_AHEAD)
        looked = stages.ahead("model", look(loaded, detector, size, watch, explain, ready), BATCHES_AHEAD)
        ahead = STUDIES_AHEAD * max(1, workers)
        answered = together(looked, watch)
        for item, outcome in pool.ordered(partial(finish_study, finish), answered, ahead, guarded=False):
            row = _died(item, outcome) if isinstance(outcome, Died) else outcome
            manifest.append(row)
            tally[row.state.value] += 1
            watch.laps.add("reports", row.seconds - item.seconds if row.state is State.DONE else 0.0)
            if progress:
                progress(sum(tally[state.value] for state in State) + tally["skipped"], len(studies))
    return Totals(**tally, seconds=perf_counter() - start, timing=watch.timing(size.size))


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
        words = f": {error}" if isinstance(error, UntrueReportError) else words
        return Row(result.study, State.FAILED, item.seconds, 0, f"report: {type(error).__name__}{words}")
    seconds = item.seconds + perf_counter() - start
    return Row(result.study, State.DONE, seconds, len(result.images), summary(result.refused))


def summary(reasons: tuple[str, ...]) -> str:
    """One line out of many reasons, each with its number where it is not alone."""
    counts = Counter(reasons)
    return "; ".join(why if n == 1 else f"{n} x {why}" for why, n in counts.items())


def _inputs(source: Path, output: Path) -> list[Path]:
    """The files to read; what earlier runs wrote below the input is not input."""
    inside = output.resolve()
    return [path for path in find_files(source) if not path.resolve().is_relative_to(inside)]


def _tallied(studies: Iterable[DecodedStudy], tally: Counter[str], watch: Stopwatch) -> Iterator[DecodedStudy]:
    """Log the files that couldn't be read and count them, and the time that all of them took."""
    for study in studies:
        for stage, seconds in study.laps.items():
            watch.laps.add(stage, seconds)
        tally["files_failed"] += len(study.errors)
        for path, why in study.errors:
            logger.warning("%s: %s", path, why)
        yield study


def _died(item: Read | Row, died: Died) -> Row:
    study = item.study if isinstance(item, Row) else item.result.study
    return Row(study, State.FAILED, 0.0, 0, f"{died.reason}: writing its report ended the worker process")
