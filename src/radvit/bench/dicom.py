"""How fast DICOM files become model tensors, next to plain pydicom and scikit-image, in one interleaved run."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom

from radvit.bench.machine import machine, one_thread
from radvit.bench.paths import (
    STAGES,
    Clock,
    Resize,
    make_loader,
    plain_path,
    plain_tensor,
    prepared,
    radvit_path,
    skimage_resize,
    to_tensor,
)
from radvit.bench.timing import interleaved
from radvit.data.loader import Loader
from radvit.data.phantom import CohortSpec, write_cohort
from radvit.data.preprocess import Preprocess
from radvit.dicom.read import find_files, read
from radvit.errors import DataError, DicomReadError, RadvitError
from radvit.pool import Died, WorkerPool
from radvit.records import FloatArray

PACKAGES = ("numpy", "opencv-python-headless", "scipy", "pydicom", "scikit-image", "python-gdcm", "pylibjpeg-openjpeg")
FILES_PER_WORKER = 12  # in a round of the pool
POOL_ROUNDS = 5
WHOLE = "whole file"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement, the median of the repeats in ms. part: tensor or file. what: size, or transfer syntax.

    radvit_ms or plain_ms is None where that side has no such stage.
    """

    part: str
    what: str
    stage: str
    radvit_ms: float | None
    plain_ms: float | None

    @property
    def ratio(self) -> float | None:
        """How many times faster radvit is, or None where one side has no such stage."""
        return self.plain_ms / self.radvit_ms if self.radvit_ms and self.plain_ms else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the ratio too."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class PoolRow:
    """Files per second of the pool with so many workers, and over the pool with one: medians of the rounds."""

    workers: int
    files_per_s: float
    ratio: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"part": "pool", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured."""

    rows: list[Row]
    pool: list[PoolRow]
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [*(row.to_dict() for row in self.rows), *(row.to_dict() for row in self.pool)]
        return {"rows": rows, "machine": self.machine}


def measure(path: Path | None, preprocess: Preprocess, repeats: int, workers: int) -> Measured:
    """Measure on a file or folder, or on phantom radiographs where path is None.

    One file of each transfer syntax is taken, and an uncompressed copy where there is none. repeats: of each of the
    two sides in turn. workers: of the larger pool; below 2, the pool isn't measured.
    Raises DataError where no file can be read, ConfigError where scikit-image is missing.
    """
    resize = skimage_resize()
    loader = make_loader()
    with _files(path, loader) as files, one_thread():
        first = next(iter(files.values()))
        rows = [tensor_row(loader.load(first)[0].pixels, resize, preprocess, repeats)]
        for syntax, file in files.items():
            rows.extend(file_rows(syntax, file, loader, resize, preprocess, repeats))
        pool = pool_rows(first, loader, preprocess, workers) if workers > 1 else []
    return Measured(rows, pool, machine(PACKAGES))


def tensor_row(pixels: FloatArray, resize: Resize, preprocess: Preprocess, repeats: int) -> Row:
    """Grey pixels, (rows, columns) float32 in [0, 1], to a model tensor."""
    ours, plain = interleaved(
        [
            lambda: prepared(pixels, preprocess),
            lambda: plain_tensor(pixels, resize, preprocess),
        ],
        repeats,
    )
    size = f"{pixels.shape[0]} x {pixels.shape[1]} to {preprocess.size}"
    return Row("tensor", size, "tensor", _ms(ours), _ms(plain))


def file_rows(
    syntax: str, path: Path, loader: Loader, resize: Resize, preprocess: Preprocess, repeats: int
) -> list[Row]:
    """A whole file by stage, and in sum. The file is read from the system's cache: the disk isn't measured."""
    ours: list[dict[str, float]] = []
    plain: list[dict[str, float]] = []
    for repeat in range(repeats + 1):
        radvit_path(path, loader, preprocess, mine := Clock())
        plain_path(path, resize, preprocess, theirs := Clock())
        if repeat:  # the first warms up
            ours.append(mine.seconds)
            plain.append(theirs.seconds)
    stages = [Row("file", syntax, stage, _stage_ms(ours, stage), _stage_ms(plain, stage)) for stage in STAGES]
    sums = (_ms([sum(seconds.values()) for seconds in side]) for side in (ours, plain))
    return [*stages, Row("file", syntax, WHOLE, *sums)]


def pool_rows(path: Path, loader: Loader, preprocess: Preprocess, workers: int) -> list[PoolRow]:
    """Files per second with one worker and with `workers`, in turn, of one file again and again."""
    work = partial(to_tensor, loader=loader, preprocess=preprocess)
    with WorkerPool(1, preload=(to_tensor.__module__,)) as one, WorkerPool(workers) as many:
        pools = ((one, 1), (many, workers))
        for pool, count in pools:
            _pool_rate(pool, work, path, 2 * count, count)  # starts them and warms them up
        rounds = [
            [_pool_rate(pool, work, path, FILES_PER_WORKER * count, count) for pool, count in pools]
            for _ in range(POOL_ROUNDS)
        ]
    rates = np.array(rounds)  # (rounds, 2)
    ratio = float(np.median(rates[:, 1] / rates[:, 0]))
    single, several = (float(rate) for rate in np.median(rates, axis=0))
    return [PoolRow(1, single, 1.0), PoolRow(workers, several, ratio)]


def _pool_rate(pool: WorkerPool, work: Callable[[Path], FloatArray], path: Path, files: int, workers: int) -> float:
    started = time.perf_counter()
    for _, result in pool.ordered(work, itertools.repeat(path, files), 2 * workers):
        if isinstance(result, Died):
            raise result.error()
    return files / (time.perf_counter() - started)


def _stage_ms(passes: list[dict[str, float]], stage: str) -> float | None:
    return _ms([seconds[stage] for seconds in passes]) if stage in passes[0] else None


def _ms(seconds: Sequence[float]) -> float:
    return float(np.median(seconds)) * 1e3


@contextmanager
def _files(path: Path | None, loader: Loader) -> Iterator[dict[str, Path]]:
    """One file of each transfer syntax, by its name, an uncompressed one first."""
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        folder = Path(made)
        if path is None:
            write_cohort(folder / "phantom", CohortSpec.preset(2, 0), 1, lambda done, total: None)
        found = _one_a_syntax(path or folder / "phantom", loader)
        native = {name: file for name, file in found.items() if not _is_compressed(file)}
        if not native:
            native = _uncompressed(next(iter(found.values())), folder / "uncompressed.dcm")
        yield native | found


def _one_a_syntax(path: Path, loader: Loader) -> dict[str, Path]:
    """The first readable file of each transfer syntax."""
    found: dict[str, Path] = {}
    for file in find_files(path):
        try:
            syntax = read(file, loader.limits).file_meta.TransferSyntaxUID.name
            if syntax not in found and len(loader.load(file)) == 1:
                found[syntax] = file
        except RadvitError:
            continue
    if not found:
        raise DataError(f"{path} holds no image of one frame that can be read; expected DICOM files")
    return found


def _is_compressed(path: Path) -> bool:
    return bool(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.is_encapsulated)


def _uncompressed(path: Path, copy: Path) -> dict[str, Path]:
    """The same image in a file without compression, decoded by pydicom."""
    dataset = pydicom.dcmread(path)
    try:
        dataset.decompress(generate_instance_uid=False)
    except Exception as error:  # noqa: BLE001 - its text may quote the file
        raise DicomReadError("decode-failed", f"pydicom can't decompress: {type(error).__name__}") from None
    dataset.save_as(copy)
    return {dataset.file_meta.TransferSyntaxUID.name: copy}
