"""Worker processes that keep the order of their work, hold little of it at once, and survive a worker's death."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Died:
    """Stands for the result of a piece of work that killed its worker process twice."""


class WorkerPool:
    """A process pool for work that may crash. Leave workers' functions light: what they import, each worker imports.

    preload: modules the workers need, imported once and forked from then on.
    """

    def __init__(self, workers: int, preload: Sequence[str] = ()) -> None:
        self._workers = max(1, workers)
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._context.set_forkserver_preload([name for name in preload if name != "__main__"])
        self._executor = self._start(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def ordered(self, call: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[tuple[T, R | Died]]:
        """Yield (item, call(item)) in the order of the items, with at most `ahead` of them under way.

        call and items must pickle. An item whose worker died is tried once more, alone in a fresh process.
        """
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            waiting.append((item, self._submit(call, item)))
            while waiting and (len(waiting) >= ahead or waiting[0][1].done()):
                taken = self._take(call, waiting.popleft())
                yield taken
        for sent in waiting:
            rest = self._take(call, sent)
            yield rest

    def _start(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, mp_context=self._context, initializer=prepare_worker)

    def _submit(self, call: Callable[[T], R], item: T) -> Future[R]:
        try:
            return self._executor.submit(call, item)
        except BrokenProcessPool:
            logger.warning("a worker process died; starting new ones")
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = self._start(self._workers)
            return self._executor.submit(call, item)

    def _take(self, call: Callable[[T], R], sent: tuple[T, Future[R]]) -> tuple[T, R | Died]:
        item, future = sent
        try:
            return item, future.result()
        except BrokenProcessPool:
            return item, self._alone(call, item)

    def _alone(self, call: Callable[[T], R], item: T) -> R | Died:
        """Try once more where nothing else can be hurt: all that was under way shares a dead worker's fate."""
        with self._start(1) as lone:
            try:
                return lone.submit(call, item).result()
            except BrokenProcessPool:
                return Died()


def prepare_worker() -> None:
    """Set up a worker process: one thread, interrupts left to the parent, and no life without the parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
