"""De-identify a folder of DICOM files into a folder of DICOM files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from radvit.deid.file_copy import FileScrubber
from radvit.deid.file_copy import Written as Written
from radvit.dicom.directory import is_directory_file
from radvit.dicom.parse import read_attributes
from radvit.dicom.read import find_files
from radvit.errors import DeidError, DicomReadError, ReasonedError
from radvit.pool import DEFAULT_GUARD, Died, Guard, WorkerPool, out_of_memory

AHEAD = 3  # files under way for each worker

_Refused = tuple[str, str]  # reason, message
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
_TWICE = ("duplicate", "an earlier file has the same SOP Instance UID; this one was not written")


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that wasn't written: in quarantine, or failed, which its reason tells (`reasons.FAILED`).

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
    Of several files with one SOP Instance UID, the first by path alone is read further: the others fail as `duplicate`.
    Raises DeidError where the target lies within the source or the other way round, where the target's disk is full,
    and where the source changes under its hands; a file's own failure is returned.
    """
    check_apart(source, target)
    folder, files = source if source.is_dir() else source.parent, find_files(source)
    blanked, failures, images = 0, [], set[str]()
    for count, (path, result) in enumerate(_results(files, target, scrubber, workers, guard), start=1):
        outcome = result if isinstance(result, Written) else Failure(path.relative_to(folder), *result)
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            blanked += outcome.blanked
            _check_first(outcome, images)
        if done is not None:
            done(outcome)
        if isinstance(outcome, Failure) and outcome.reason == "disk":
            raise DeidError(f"the output's disk is full, {count} of {len(files)} files in; make room and run it again")
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


def _check_first(written: Written, images: set[str]) -> None:
    """Add an image to those written; DeidError where it is there, so that it now stands for two files."""
    if written.image in images:
        raise DeidError("a file of the source was changed while the batch ran; run it again with a source at rest")
    images.add(written.image)


def _results(
    files: list[Path], target: Path, scrubber: FileScrubber, workers: int, guard: Guard
) -> Iterator[tuple[Path, Written | _Refused]]:
    """What became of each file. A header is looked into some files ahead of its copy, by the same workers."""
    look, attempt = partial(_instance, scrubber), partial(_attempt, scrubber, target)
    if workers < 1:
        looked = ((path, look(path)) for path in files)
        yield from ((job[0], attempt(job)) for job in _without_twins(looked))
        return
    with WorkerPool(workers, guard, preload=(__name__,)) as pool:
        jobs = _without_twins(pool.ordered(look, files, AHEAD * workers))
        for (path, _), outcome in pool.ordered(attempt, jobs, AHEAD * workers):
            yield path, _refusal(outcome) if isinstance(outcome, Died) else outcome


def _without_twins(looked: Iterable[tuple[Path, str | _Refused | Died]]) -> Iterator[tuple[Path, _Refused | None]]:
    """Each file with why it can't be copied, if so; among the reasons, that its instance has been there."""
    seen = set[str]()
    for path, found in looked:
        if isinstance(found, str):
            yield path, _TWICE if found and found in seen else None
            seen.add(found)
        else:
            yield path, _refusal(found) if isinstance(found, Died) else found


def _instance(scrubber: FileScrubber, path: Path) -> str | _Refused:
    """The SOP Instance UID, without what pads it; empty where there is none, which is for the copying to refuse."""
    try:
        header = read_attributes(path, ("SOPInstanceUID",), scrubber.limits)
        return str(header.get("SOPInstanceUID") or "").strip()
    except DicomReadError as error:
        return error.reason, str(error)
    except Exception as error:  # noqa: BLE001 - a value that can't be read; its words may quote the file
        return "bad-header", f"the SOP Instance UID can't be read: {type(error).__name__}"


def _refusal(died: Died) -> _Refused:
    return died.reason, str(died.error())


def _attempt(scrubber: FileScrubber, target: Path, job: tuple[Path, _Refused | None]) -> Written | _Refused:
    path, refused = job
    try:
        return refused or scrubber.write(path, target)
    except ReasonedError as error:
        return error.reason, str(error)
    except DeidError as error:
        return "disk" if any(words in str(error) for words in _FULL) else "deid", str(error)
    except Exception as error:  # noqa: BLE001 - what no rule foresaw costs one file; its words may quote the file
        return "memory" if out_of_memory(error) else "error", type(error).__name__
