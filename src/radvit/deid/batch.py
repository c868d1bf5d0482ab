"""De-identify a folder of DICOM files into a folder of DICOM files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from radvit.deid.file_copy import FileScrubber
from radvit.deid.file_copy import Written as Written
from radvit.dicom.directory import is_directory_file
from radvit.dicom.read import find_files
from radvit.errors import DeidError, ReasonedError
from radvit.pool import DEFAULT_GUARD, Died, Guard, WorkerPool, out_of_memory

AHEAD = 3  # files under way for each worker


@dataclass(frozen=True, slots=True)
class Failure:
    """A file in quarantine: it wasn't written.

    path: relative to the source; it may hold a name, so show it to the operator only. reason: a short code.
    """

    path: Path
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """Number of files written, text regions blanked, and the files that failed, in the order of their paths."""

    written: int
    blanked: int
    failures: tuple[Failure, ...]


def deidentify_folder(
    source: Path,
    target: Path,
    scrubber: FileScrubber,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    guard: Guard = DEFAULT_GUARD,
    done: Callable[[Written | Failure], None] | None = None,
) -> BatchSummary:
    """Write a de-identified copy of every image below source into target.

    workers: processes; 0 works in this one. progress: called with files done and files in all. guard: what one file
    may take in a process; one that takes more, or ends its process, fails as `memory`, `timeout` or `crashed`.
    done: called with what became of each file, in the order of their paths.
    Raises DeidError where the target lies within the source or the other way round; a file's own failure is returned.
    """
    check_apart(source, target)
    folder, files = source if source.is_dir() else source.parent, find_files(source)
    blanked, failures, images = 0, [], set[str]()
    for count, (path, result) in enumerate(_results(files, target, scrubber, workers, guard), start=1):
        outcome = _outcome(path.relative_to(folder), result, images)
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            blanked += outcome.blanked
            images.add(outcome.image)
        if done is not None:
            done(outcome)
        if progress is not None:
            progress(count, len(files))
    return BatchSummary(len(images), blanked, tuple(failures))


def check_apart(source: Path, target: Path) -> None:
    """DeidError where source and target lie in one another, or there is no source."""
    if not source.exists():
        raise DeidError(f"{source}: no such file or folder; expected DICOM files")
    folder = source if source.is_dir() else source.parent
    inside, outside = (folder if is_directory_file(source) else source).resolve(), target.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise DeidError("source and target folder lie in one another; expected two separate folders")


def _outcome(path: Path, result: Written | tuple[str, str], images: set[str]) -> Written | Failure:
    """A failure too where another file of the batch has the same SOP Instance UID: one place can't hold both."""
    if not isinstance(result, Written):
        return Failure(path, *result)
    if result.image in images:
        return Failure(path, "duplicate", "another file has the same SOP Instance UID; one of the two was written")
    return result


def _results(
    files: list[Path], target: Path, scrubber: FileScrubber, workers: int, guard: Guard
) -> Iterator[tuple[Path, Written | tuple[str, str]]]:
    attempt = partial(_attempt, scrubber, target)
    if workers < 1:
        yield from ((path, attempt(path)) for path in files)
        return
    with WorkerPool(workers, guard, preload=(__name__,)) as pool:
        for path, outcome in pool.ordered(attempt, files, AHEAD * workers):
            yield path, (outcome.reason, str(outcome.error())) if isinstance(outcome, Died) else outcome


def _attempt(scrubber: FileScrubber, target: Path, path: Path) -> Written | tuple[str, str]:
    try:
        return scrubber.write(path, target)
    except ReasonedError as error:
        return error.reason, str(error)
    except DeidError as error:
        return "deid", str(error)
    except Exception as error:  # noqa: BLE001 - what no rule foresaw costs one file; its words may quote the file
        return "memory" if out_of_memory(error) else "error", type(error).__name__
