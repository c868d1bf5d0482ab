"""Items of a source to preprocessed samples, in order, by processes that a bad file can't stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.preprocess import Preprocess
from radvit.data.samples import Sample
from radvit.data.sources.base import Source
from radvit.errors import DataError, DeidError, DicomReadError, GeometryError

CHUNK = 8  # items a worker takes at a time
AHEAD = 3  # chunks under way for each worker: enough to keep it busy, few enough to hold in memory
REASONS: dict[type[Exception], str] = {DeidError: "deid", GeometryError: "geometry", DataError: "truth"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image, ready for the cache. pixels: (S, S) float16."""

    pixels: npt.NDArray[np.float16]
    sample: Sample


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that could not be read. reason: a short code; the error's own words may quote the file."""

    reason: str


@dataclass(frozen=True, slots=True)
class Decoder:
    """Reads and preprocesses items; what one raises costs only that one."""

    source: Source
    preprocess: Preprocess

    def __call__(self, index: int) -> list[Decoded] | Failure:
        """One item."""
        try:
            return [
                Decoded(pixels, Sample(x.image.header, x.image.geometry, placement, x.targets, x.lesions))
                for x in self.source.read(index)
                for pixels, placement in [self.preprocess.apply(x.image.pixels)]
            ]
        except DicomReadError as error:
            return Failure(error.reason)
        except Exception as error:  # noqa: BLE001 - a hostile file may raise anything
            return Failure(REASONS.get(type(error), type(error).__name__))


Results = list[list[Decoded] | Failure]
_decoder: Decoder | None = None  # of this worker process: sent once rather than with every chunk


def decode_all(source: Source, preprocess: Preprocess, workers: int) -> Iterator[list[Decoded] | Failure]:
    """Yield the images of each item, or why it has none, in the source's order.

    workers: processes; 0 for none, nor are there any for a light source. An item that kills its process is a Failure
    with reason `crashed`.
    """
    decoder = Decoder(source, preprocess)
    if workers < 1 or source.light:
        yield from map(decoder, range(len(source)))
        return
    chunks = deque(range(a, min(a + CHUNK, len(source))) for a in range(0, len(source), CHUNK))
    while chunks:
        try:
            for results in _pooled(decoder, chunks, workers):
                yield from results
        except BrokenProcessPool:  # the first chunk left is the culprit or was near it: one item at a time
            yield from (_alone(decoder, index) for index in chunks.popleft())


def _pooled(decoder: Decoder, chunks: deque[range], workers: int) -> Iterator[Results]:
    """Results chunk by chunk; a chunk leaves the queue when its results are there."""
    with _pool(decoder, workers) as pool:
        waiting: deque[Future[Results]] = deque()
        todo = deque(chunks)
        try:
            while todo or waiting:
                while todo and len(waiting) < AHEAD * workers:
                    waiting.append(pool.submit(_work, todo.popleft()))
                results = waiting.popleft().result()
                chunks.popleft()
                yield results
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _alone(decoder: Decoder, index: int) -> list[Decoded] | Failure:
    with _pool(decoder, 1) as pool:
        try:
            return pool.submit(_work, range(index, index + 1)).result()[0]
        except BrokenProcessPool:
            return Failure("crashed")


def _pool(decoder: Decoder, workers: int) -> ProcessPoolExecutor:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload(["__main__", __name__])  # imported once and not by every worker
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(decoder,))


def _start(decoder: Decoder) -> None:
    global _decoder
    _decoder = decoder
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(indices: range) -> Results:
    if _decoder is None:
        raise DataError("a worker process was used before it was set up")
    return [_decoder(index) for index in indices]
