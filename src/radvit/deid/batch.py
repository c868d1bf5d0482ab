"""De-identify a folder of DICOM files into a folder of DICOM files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radvit.deid.burned_in import FOR_RELEASE, BurnedIn, blank_burned_in
from radvit.deid.header_words import identity_words
from radvit.deid.profile import BASIC, Profile
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.scrub import declare_clean_pixels, scrub
from radvit.dicom.colour import as_grey
from radvit.dicom.directory import is_directory_file
from radvit.dicom.pixels import Coding, StoredArray, decode
from radvit.dicom.read import Limits, find_files, read
from radvit.errors import DeidError, DicomReadError
from radvit.pool import DEFAULT_GUARD, Died, Guard, WorkerPool, out_of_memory

AHEAD = 3  # files under way for each worker


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that wasn't written. path: relative to the source; it may hold a name, so show it to the operator only."""

    path: Path
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """Number of files written, text regions blanked, and the files that failed, in the order of their paths."""

    written: int
    blanked: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class FileScrubber:
    """Writes the de-identified copy of one file. Can be pickled, for process pools."""

    pseudonymizer: Pseudonymizer
    limits: Limits = field(default_factory=Limits)
    profile: Profile = BASIC
    burned_in: BurnedIn = FOR_RELEASE

    def write(self, source: Path, folder: Path) -> int:
        """Write `folder/<study>/<image>.dcm`, named by pseudonyms, whole or not at all; returns the regions blanked.

        The pixels are decoded and written uncompressed: nothing that a codec's stream or unused bits hold gets through.
        Raises DicomReadError or DeidError.
        """
        original = as_grey(read(source, self.limits))
        safe = scrub(original, self.pseudonymizer, self.profile)
        blanked = blank_burned_in(decode(safe), original, self.burned_in, identity_words(original))
        _replace_pixels(safe, blanked.pixels)
        if any(blanked.counts):
            declare_clean_pixels(safe)
        target = folder / str(safe.StudyInstanceUID) / f"{safe.SOPInstanceUID}.dcm"
        _save(safe, target)
        return sum(blanked.counts)


def deidentify_folder(
    source: Path,
    target: Path,
    scrubber: FileScrubber,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    guard: Guard = DEFAULT_GUARD,
) -> BatchSummary:
    """Write a de-identified copy of every image below source into target.

    workers: processes; 0 works in this one. progress: called with files done and files in all. guard: what one file
    may take in a process; one that takes more, or ends its process, fails as `memory`, `timeout` or `crashed`.
    Raises DeidError where the target lies within the source or the other way round; a file's own failure is returned.
    """
    folder = source if source.is_dir() else source.parent
    inside, outside = (folder if is_directory_file(source) else source).resolve(), target.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise DeidError("source and target folder lie in one another; expected two separate folders")
    files = find_files(source)
    written, blanked, failures = 0, 0, []
    for done, (path, result) in enumerate(_results(files, target, scrubber, workers, guard), start=1):
        if isinstance(result, int):
            written, blanked = written + 1, blanked + result
        else:
            failures.append(Failure(path.relative_to(folder), *result))
        if progress is not None:
            progress(done, len(files))
    return BatchSummary(written, blanked, tuple(failures))


def _results(
    files: list[Path], target: Path, scrubber: FileScrubber, workers: int, guard: Guard
) -> Iterator[tuple[Path, int | tuple[str, str]]]:
    attempt = partial(_attempt, scrubber, target)
    if workers < 1:
        yield from ((path, attempt(path)) for path in files)
        return
    with WorkerPool(workers, guard, preload=(__name__,)) as pool:
        for path, outcome in pool.ordered(attempt, files, AHEAD * workers):
            yield path, (outcome.reason, str(outcome.error())) if isinstance(outcome, Died) else outcome


def _attempt(scrubber: FileScrubber, target: Path, path: Path) -> int | tuple[str, str]:
    try:
        return scrubber.write(path, target)
    except DicomReadError as error:
        return error.reason, str(error)
    except DeidError as error:
        return "deid", str(error)
    except Exception as error:  # noqa: BLE001 - what no rule foresaw costs one file; its words may quote the file
        return "memory" if out_of_memory(error) else "error", type(error).__name__


def _replace_pixels(safe: Dataset, stored: StoredArray) -> None:
    """Put pixels into a scrubbed data set, uncompressed and with the unused bits cleared. Changes it in place."""
    coding = Coding.of(safe)
    sign = "i" if coding.signed else "u"
    size = max(1, coding.allocated // 8)  # single bits decode to a byte each
    pixels = coding.values(stored).astype(f"<{sign}{size}")
    if not safe.file_meta.TransferSyntaxUID.is_little_endian:
        _swap_tables(safe)
    data = pixels.tobytes()
    safe.PixelData = data + b"\0" * (len(data) % 2)
    safe["PixelData"].VR = "OW" if size > 1 else "OB"
    safe.BitsAllocated = 8 * size
    safe.HighBit = coding.stored - 1
    safe.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _swap_tables(safe: Dataset) -> None:
    """Turn look-up tables that stand as big-endian words into little-endian ones. Changes the data set in place."""
    for element in safe.iterall():
        if element.keyword == "LUTData" and isinstance(element.value, bytes) and len(element.value) % 2 == 0:
            element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()


def _save(safe: Dataset, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        safe.save_as(part, enforce_file_format=True)
        part.replace(target)
    except (OSError, ValueError) as error:
        raise DeidError(f"can't write the de-identified file: {type(error).__name__}") from None
    finally:
        part.unlink(missing_ok=True)
