"""A cohort on disk: every file is read, de-identified and reduced once; later runs map the pixels into memory.

A cache holds pseudonyms only. It is a folder named by its key, with pixels.npy (N, S, S) float16, masks.npy (N, S, S)
uint8 where the source has masks, index.json (samples, labels, splits) and failures.csv (position of a file in the
source's sorted listing, from 1, and why).
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.data.cache_writer import MASKS, PIXELS, CohortWriter
from radvit.data.decoding import decode_all
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.errors import DataError
from radvit.pool import DEFAULT_GUARD, Guard

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

FORMAT = "radvit.cohort/3"
UNSELECTED = "not-selected"
UNLISTED = "; truth means: not named in data.truth, or of another size there"
INDEX, FAILURES = "index.json", "failures.csv"
Progress = Callable[[int, int], None]


def load_cohort(
    source: Source,
    preprocess: Preprocess,
    folder: Path,
    workers: int,
    progress: Progress | None = None,
    guard: Guard = DEFAULT_GUARD,
) -> Cohort:
    """Open the cohort's cache, and build it first where there is none.

    folder: where caches live. workers: processes to build with; 0 builds in this one. progress: called with the
    number of items done and of all, while building. guard: what reading one item may take in a worker process. A file
    that can't be read costs only itself. Raises DataError where all fail or where a cache is damaged.
    """
    place = folder / cache_key(source, preprocess)
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(place) as locked:
            if locked:
                _clear(place)
            if not place.is_dir():  # another builder may have finished while this one waited
                _build(source, preprocess, place, workers, progress, guard)
    return _open(place)


def cache_key(source: Source, preprocess: Preprocess) -> str:
    """The name of a cache: a hash over all that its content depends on (mean and std are applied after it)."""
    content: list[Any] = [FORMAT, source.fingerprint(), list(source.labels), preprocess.size]
    text = json.dumps([*content, "crop_border"] if preprocess.crop_border else content)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _build(
    source: Source, preprocess: Preprocess, place: Path, workers: int, progress: Progress | None, guard: Guard
) -> None:
    """Build in a folder beside the place and rename it when it is whole."""
    logger.info("building the cache of %d items", len(source))
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        with CohortWriter(partial, preprocess.size) as writer:
            for index, decoded in enumerate(decode_all(source, preprocess, workers, guard)):
                writer.add(index, decoded)
                if progress is not None:
                    progress(index + 1, len(source))
        _check_any(source, writer)
        _write_index(partial, source, writer)
        _publish(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clear(place: Path) -> None:
    """Remove what builders of this cache that were killed left behind."""
    for left_over in place.parent.glob(f".{place.name}-*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _check_any(source: Source, writer: CohortWriter) -> None:
    unread = [reason for _, reason in writer.failures if reason != UNSELECTED]
    reasons = ", ".join(f"{reason} ({count})" for reason, count in Counter(unread).most_common())
    reasons += UNLISTED if "truth" in dict(writer.failures).values() else ""
    left_out = len(writer.failures) - len(unread)
    if not writer.samples:
        why = reasons or ("the selection leaves all out" if left_out else "there are none")
        raise DataError(f"{source.name}: none of {len(source)} files could be read: {why}")
    if left_out:
        logger.info("%d of %d files are outside the selection", left_out, len(source))
    if unread:
        logger.warning("%d of %d files could not be read: %s", len(unread), len(source), reasons)
    if writer.has_masks and writer.unmasked:
        logger.warning("%d positive images have no mask, unlike others; theirs are empty", writer.unmasked)


def _write_index(folder: Path, source: Source, writer: CohortWriter) -> None:
    labels = list(source.labels)
    writer.digest.update(json.dumps(labels).encode())
    record = {
        "format": FORMAT,
        "fingerprint": writer.digest.hexdigest(),
        "labels": labels,
        "failed": sum(reason != UNSELECTED for _, reason in writer.failures),
        "official": _official(source, writer.items),
        "masks": writer.has_masks,
        "samples": [sample.to_dict() for sample in writer.samples],
    }
    (folder / INDEX).write_text(json.dumps(record) + "\n", encoding="utf-8")
    with (folder / FAILURES).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("position", "reason"), *((index + 1, why) for index, why in writer.failures)])


def _official(source: Source, items: list[int]) -> dict[str, list[int]] | None:
    """The source's splits, from item to sample indices."""
    if source.official is None:
        return None
    split_of = {item: name for name, members in source.official.items() for item in members}
    official: dict[str, list[int]] = {name: [] for name in source.official}
    for sample, item in enumerate(items):
        if item in split_of:
            official[split_of[item]].append(sample)
    return official


def _publish(partial: Path, place: Path) -> None:
    partial.chmod(0o755)  # mkdtemp makes a folder for its owner alone
    try:
        partial.rename(place)
    except OSError as error:
        if not place.is_dir():  # else another builder was first, with the same content
            raise DataError(f"{place}: the cache can't be written ({error.strerror})") from error


def _open(place: Path) -> Cohort:
    try:
        record = json.loads((place / INDEX).read_text(encoding="utf-8"))
        pixels: npt.NDArray[np.float16] = np.load(place / PIXELS, mmap_mode="r", allow_pickle=False)
        official = record["official"]
        return Cohort(
            pixels=pixels,
            samples=tuple(Sample.from_dict(sample) for sample in record["samples"]),
            labels=tuple(record["labels"]),
            fingerprint=str(record["fingerprint"]),
            official=None if official is None else {name: tuple(members) for name, members in official.items()},
            failed=int(record["failed"]),
            masks=np.load(place / MASKS, mmap_mode="r", allow_pickle=False) if record["masks"] else None,
            failures=_failures(place),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, DataError) as error:
        raise DataError(f"{place}: the cache is damaged ({error}); delete this folder to build it again") from error


def _failures(place: Path) -> dict[str, int]:
    """How many files have each reason."""
    with (place / FAILURES).open(newline="", encoding="utf-8") as file:
        return dict(Counter(row["reason"] for row in csv.DictReader(file)).most_common())


@contextmanager
def _locked(place: Path) -> Iterator[bool]:
    """Let one process at a time build a cache; the lock ends with its process.

    Yields False where the system has no file locks: then both build, and the first to finish is kept.
    """
    with place.with_suffix(".lock").open("w") as file:
        yield _lock(file.fileno())


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return False
    return True
